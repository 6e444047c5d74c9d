import type { ContainerConfig } from "../../src/oci/config.ts";
import { type Digest, sha256 } from "../../src/oci/digest.ts";
import { hostPlatform, type Platform } from "../../src/oci/platform.ts";
import { putImage } from "../../src/store/putImage.ts";
import type { Store } from "../../src/store/Store.ts";
import { freshDirectory, type MadeEntry, makeTar, packTree, unpackTar } from "./layerTar.ts";

/** Puts an image into the store as a build leaves it: layers of these entries, lowest first, none compressed yet. Returns its ID. */
export function putMadeImage(
  store: Store,
  reference: string,
  layers: MadeEntry[][],
  { config = {}, platform = hostPlatform() }: { config?: ContainerConfig; platform?: Platform } = {},
): Digest {
  const lease = store.lease("test");
  try {
    const diffIDs = layers.map((entries) => {
      const { linux } = store;
      const directory = freshDirectory(lease.directory());
      linux.fchmodat(-100, directory, 0o755);
      const unpacked = unpackTar(linux, directory, makeTar(entries));
      // Of the tar that slipway writes itself: a build's layers are packed anew each time.
      const tar = packTree(linux, directory);
      const diffID = sha256(tar);
      store.layers.adopt(directory, { ...unpacked, diffID, tarSize: tar.length }, lease);
      return diffID;
    });
    const { imageID } = putImage(store, {
      config: {
        ...platform,
        config,
        rootfs: { type: "layers", diff_ids: diffIDs },
        history: layers.map((_, i) => ({ created_by: `layer ${i}` })),
      },
      lease,
    });
    store.images.tag(reference, imageID);
    return imageID;
  } finally {
    lease.release();
  }
}
