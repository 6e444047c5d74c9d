import { expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from "../linux/constants.ts";
import { createLinux } from "../linux/createLinux.ts";
import { recordingLinux } from "../linux/recordingLinux.ts";
import { isWhiteout, makeWhiteout } from "./overlayForm.ts";
import { packLayer } from "./packLayer.ts";

test("on a file system that takes no whiteouts, what stands in for one is read as one and leaves as one", async () => {
  const { linux, answer } = recordingLinux(createLinux());
  answer("mknodat", { errno: "EPERM" }, { when: (_, __, ___, major, minor) => major === 0 && minor === 0, times: 1 });
  await withTempDirectory(async (directory) => {
    const layer = join(directory, "layer");
    mkdirSync(layer);
    const fd = linux.openat(AT_FDCWD, layer, O_RDONLY | O_DIRECTORY);
    makeWhiteout(linux, fd, "gone");
    const stat = linux.statat(fd, "gone");
    linux.close(fd);
    expect(isWhiteout(stat)).toBe(true);
    expect(isWhiteout({ ...stat, mode: (stat.mode & ~0o7777) | 0o755 })).toBe(false);
    let tar = "";
    for await (const piece of packLayer(linux, layer)) tar += Buffer.from(piece).toString("latin1");
    expect(tar).toContain(".wh.gone\0");
  });
});
