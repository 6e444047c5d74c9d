import { mkdirSync } from "node:fs";
import type { ContainerConfig } from "../../src/oci/config.ts";
import { type Digest, sha256 } from "../../src/oci/digest.ts";
import { putImage } from "../../src/store/putImage.ts";
import type { Store } from "../../src/store/Store.ts";
import { makeBusyboxRoot } from "./busyboxRoot.ts";

/** Puts an image of one busybox layer into the store, named `busybox`. Returns its ID. */
export function putBusyboxImage(store: Store, config: ContainerConfig = { Cmd: ["sh"] }): Digest {
  const lease = store.lease("test");
  try {
    const directory = `${lease.directory()}/fs`;
    mkdirSync(directory);
    makeBusyboxRoot(directory);
    const diffID = sha256("busybox layer");
    store.layers.adopt(directory, { diffID, tarSize: 0, size: 0, impliedDirs: [] }, lease);
    const { imageID } = putImage(store, {
      config: {
        architecture: process.arch === "x64" ? "amd64" : process.arch,
        os: "linux",
        config,
        rootfs: { type: "layers", diff_ids: [diffID] },
        history: [{ created_by: "busybox" }],
      },
      lease,
    });
    store.images.tag("docker.io/library/busybox:latest", imageID);
    return imageID;
  } finally {
    lease.release();
  }
}
