import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, statSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { AT_FDCWD, O_DIRECTORY, O_PATH } from "../linux/constants.ts";
import { createLinux } from "../linux/createLinux.ts";
import { makeMountStubs, removeMountStubs } from "./mountStubs.ts";

const linux = createLinux();

async function inRoot(work: (root: string, fd: number) => void): Promise<void> {
  await withTempDirectory((root) => {
    const fd = linux.openat(AT_FDCWD, root, O_PATH | O_DIRECTORY);
    try {
      work(root, fd);
    } finally {
      linux.close(fd);
    }
  });
}

describe("mount stubs", () => {
  test("come with their parents and go without a trace, the times of what was there included", async () => {
    await inRoot((root, fd) => {
      mkdirSync(`${root}/etc`);
      utimesSync(`${root}/etc`, 1, 1);
      const made = makeMountStubs(linux, fd, [
        { path: "/etc/hosts", directory: false },
        { path: "/a/b/c", directory: true },
      ]);
      expect(made.map((stub) => stub.path)).toEqual(["/etc/hosts", "/a", "/a/b", "/a/b/c"]);
      expect(statSync(`${root}/a/b/c`).isDirectory()).toBe(true);
      removeMountStubs(linux, fd, made);
      expect(readdirSync(root)).toEqual(["etc"]);
      expect(readdirSync(`${root}/etc`)).toEqual([]);
      expect(statSync(`${root}/etc`).mtimeMs).toBe(1000);
    });
  });
  test("leave alone what is there", async () => {
    await inRoot((root, fd) => {
      writeFileSync(`${root}/f`, "x");
      expect(makeMountStubs(linux, fd, [{ path: "/f", directory: false }])).toEqual([]);
    });
  });
  test("stay when somebody has filled them", async () => {
    await inRoot((root, fd) => {
      const made = makeMountStubs(linux, fd, [
        { path: "/d", directory: true },
        { path: "/f", directory: false },
      ]);
      writeFileSync(`${root}/d/x`, "x");
      writeFileSync(`${root}/f`, "x");
      removeMountStubs(linux, fd, made);
      expect(readdirSync(root).sort()).toEqual(["d", "f"]);
    });
  });
  test("follow links inside the root only", async () => {
    await withTempDirectory((outside) =>
      inRoot((root, fd) => {
        symlinkSync(outside, `${root}/link`);
        makeMountStubs(linux, fd, [{ path: "/link/x", directory: true }]);
        expect(existsSync(`${outside}/x`)).toBe(false);
      }),
    );
  });
});
