import { expect, test } from "bun:test";
import { join } from "node:path";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { createLinux } from "../linux/createLinux.ts";
import { recordingLinux } from "../linux/recordingLinux.ts";
import { chooseStorage } from "./chooseStorage.ts";
import { describeStorage } from "./describeStorage.ts";
import { openStore } from "./openStore.ts";

test.skipIf(process.getuid?.() !== 0)(
  "the kernel's overlayfs is taken where it works, and not tried again; where none can be mounted, copies are, and why is said with the remedy",
  () =>
    withTempDirectory((directory) => {
      const recording = recordingLinux(createLinux());
      const open = (name: string) => openStore({ root: join(directory, name), linux: recording.linux });
      const store = open("works");
      expect(chooseStorage(store)).toEqual({ name: "overlay", refused: [] });
      recording.take();
      store.snapshotter.view([]).close();
      expect(recording.take().filter(({ name }) => name === "fsopen")).toHaveLength(1); // of the view itself
      expect(describeStorage(store)).toEqual({ name: "overlay", how: "overlayfs of the kernel" });
      store.close();

      for (const call of ["fsopen", "mount", "openTree"] as const) recording.answer(call, { errno: "EPERM" });
      const path = process.env.PATH;
      process.env.PATH = directory; // without fuse-overlayfs, which does not ask our kernel
      try {
        const bare = open("bare");
        expect(bare.snapshotter.name).toBe("copy");
        const { name, how, missing } = describeStorage(bare);
        expect([name, how]).toEqual(["copy", expect.stringMatching(/^plain copies/)]);
        expect(missing).toContain("overlay: overlayfs cannot be mounted: ");
        expect(missing).toContain("fuse: fuse-overlayfs is not installed (apt-get install fuse-overlayfs)");
        recording.take();
        const again = open("bare");
        again.snapshotter.view([]).close();
        expect(recording.take().filter(({ name: called }) => called === "fsopen")).toEqual([]);
        again.close();
        bare.close();
        const asked = openStore({ root: join(directory, "bare"), linux: recording.linux, storage: "overlay" });
        expect(() => asked.snapshotter.view([])).toThrow("overlayfs cannot be mounted");
        expect(describeStorage(asked)).toMatchObject({
          name: "overlay",
          missing: expect.stringContaining("overlay: "),
        });
        asked.close();
      } finally {
        process.env.PATH = path;
      }
    }),
);
