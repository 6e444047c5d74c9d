import { expect, test } from "bun:test";
import { existsSync, mkdirSync, rmdirSync } from "node:fs";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { createLinux } from "../linux/createLinux.ts";
import { removeTree } from "./removeTree.ts";

test("a directory that another removes while we read it is as good as removed", async () => {
  await withTempDirectory(async (directory) => {
    const linux = createLinux();
    const path = `${directory}/tree`;
    mkdirSync(path);
    removeTree(
      {
        ...linux,
        readdir(fd) {
          rmdirSync(path);
          return linux.readdir(fd);
        },
      },
      path,
    );
    expect(existsSync(path)).toBe(false);
  });
});
