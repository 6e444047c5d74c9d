import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { describeLayer } from "../layer/packLayer.ts";
import { createLinux } from "../linux/createLinux.ts";
import { type Digest, sha256 } from "../oci/digest.ts";
import { openStore } from "./openStore.ts";
import { putImage } from "./putImage.ts";
import { storeImage } from "./storeImage.ts";

const linux = createLinux();

test("a built image's layer leaves the store as the bytes of its diffID, and not with a file that would be a whiteout there", () =>
  withTempDirectory(async (root) => {
    const store = openStore({ root: join(root, "store"), linux });
    try {
      const lease = store.lease("test");
      const diffIDs = ["etc/plain", "etc/.wh.passwd"].map((path) => {
        const directory = lease.directory();
        mkdirSync(join(directory, "etc"));
        writeFileSync(join(directory, path), "x");
        return store.layers.adopt(directory, describeLayer(linux, directory), lease).diffID;
      });
      const config = { architecture: "amd64", os: "linux", rootfs: { type: "layers" as const, diff_ids: diffIDs } };
      const { imageID } = putImage(store, { config, lease });
      const image = storeImage(store, imageID);
      const [plain, odd] = await image.layers();
      const bytes = await Bun.readableStreamToBytes((await plain?.uncompressed()) as ReadableStream);
      expect(sha256(bytes)).toBe(diffIDs[0] as Digest);
      const refusal = 'file "/etc/.wh.passwd" cannot leave';
      await expect(Bun.readableStreamToBytes((await odd?.uncompressed()) as ReadableStream)).rejects.toThrow(refusal);
      await expect(Bun.readableStreamToBytes((await odd?.compressed()) as ReadableStream)).rejects.toThrow(refusal);
      await expect(image.rawManifest()).rejects.toThrow(refusal);
    } finally {
      store.close();
    }
  }));
