import { expect, test } from "bun:test";
import { chmodSync, linkSync, mkdirSync, renameSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withTempDirectory } from "../../../test/support/tempDirectory.ts";
import { AT_FDCWD, O_DIRECTORY } from "../../linux/constants.ts";
import { createLinux } from "../../linux/createLinux.ts";
import { createFileTree, type FileTree, type TreeFilter } from "./FileTree.ts";
import { createTreeDigester } from "./treeDigest.ts";

const linux = createLinux();

function treeOf(directory: string): FileTree {
  return createFileTree(linux, linux.openat(AT_FDCWD, directory, O_DIRECTORY), { rootOwned: true });
}

function digestOf(directory: string, path = ""): string {
  const tree = treeOf(directory);
  try {
    const node = tree.lookup(path, false);
    if (node === undefined) throw new Error(`no ${path}`);
    return createTreeDigester(linux, tree).digest(node);
  } finally {
    tree.close();
  }
}

test("links are followed inside the tree and never out of it", () =>
  withTempDirectory((directory) => {
    mkdirSync(join(directory, "root/a/b"), { recursive: true });
    writeFileSync(join(directory, "secret"), "outside");
    writeFileSync(join(directory, "root/secret"), "inside");
    writeFileSync(join(directory, "root/a/b/f"), "f");
    symlinkSync("../../../../secret", join(directory, "root/a/up"));
    symlinkSync("/a/b", join(directory, "root/absolute"));
    symlinkSync("loop", join(directory, "root/loop"));
    const tree = treeOf(join(directory, "root"));
    expect(tree.lookup("a/up", true)?.path).toBe("secret");
    expect(tree.lookup("absolute/f", false)?.path).toBe("a/b/f");
    expect(tree.lookup("../../secret", false)?.path).toBe("secret");
    expect(tree.lookup("loop", true)).toBeUndefined();
    expect(tree.lookup("a/none/f", true)).toBeUndefined();
    tree.close();
  }));

test("the digest sees bytes, modes, names, link targets and hard facts, and no times", () =>
  withTempDirectory((directory) => {
    mkdirSync(join(directory, "d"));
    writeFileSync(join(directory, "d/f"), "one");
    symlinkSync("f", join(directory, "d/l"));
    const seen = new Set([digestOf(directory, "d")]);
    const changed = (): boolean => {
      const digest = digestOf(directory, "d");
      const isNew = !seen.has(digest);
      seen.add(digest);
      return isNew;
    };
    utimesSync(join(directory, "d/f"), 1, 1);
    utimesSync(join(directory, "d"), 1, 1);
    expect(changed()).toBe(false);
    writeFileSync(join(directory, "d/f"), "two");
    expect(changed()).toBe(true);
    chmodSync(join(directory, "d/f"), 0o755);
    expect(changed()).toBe(true);
    chmodSync(join(directory, "d"), 0o700);
    expect(changed()).toBe(true);
    renameSync(join(directory, "d/f"), join(directory, "d/g"));
    expect(changed()).toBe(true);
    linux.unlinkat(AT_FDCWD, join(directory, "d/l"));
    symlinkSync("g", join(directory, "d/l"));
    expect(changed()).toBe(true);
    mkdirSync(join(directory, "d/empty"));
    expect(changed()).toBe(true);
    linux.setxattr(AT_FDCWD, join(directory, "d/g"), "user.note", Buffer.from("x"));
    expect(changed()).toBe(true);
    linux.setxattr(AT_FDCWD, join(directory, "d/empty"), "user.note", Buffer.from("x"));
    expect(changed()).toBe(true);
    linkSync(join(directory, "d/g"), join(directory, "d/h"));
    expect(changed()).toBe(true);
  }));

test("a selection leaves files out, and directories with nothing selected in them", () =>
  withTempDirectory((directory) => {
    mkdirSync(join(directory, "d/sub"), { recursive: true });
    writeFileSync(join(directory, "d/keep"), "keep");
    writeFileSync(join(directory, "d/sub/drop"), "one");
    const tree = treeOf(directory);
    const select: TreeFilter = {
      root: () => undefined,
      visit: (_, path) => ({ keep: path === "keep", descend: true, state: undefined }),
    };
    const first = createTreeDigester(linux, tree).digest(tree.lookup("d", false) as never, {
      contentsOnly: true,
      selection: select,
    });
    tree.close();
    writeFileSync(join(directory, "d/sub/drop"), "two");
    const again = treeOf(directory);
    const second = createTreeDigester(linux, again).digest(again.lookup("d", false) as never, {
      contentsOnly: true,
      selection: select,
    });
    expect(second).toBe(first);
    const all = createTreeDigester(linux, again).digest(again.lookup("d", false) as never, { contentsOnly: true });
    expect(all).not.toBe(first);
    again.close();
  }));

test("file names that are no UTF-8 are kept apart", () =>
  withTempDirectory((directory) => {
    const fd = linux.openat(AT_FDCWD, directory, O_DIRECTORY);
    linux.close(linux.openat(fd, "a\udcff", 0o101, 0o644));
    linux.close(linux.openat(fd, "a\udcfe", 0o101, 0o644));
    linux.close(fd);
    const tree = treeOf(directory);
    expect(tree.children(tree.root).map((node) => node.name)).toEqual(["a\udcfe", "a\udcff"]);
    tree.close();
  }));

test("a file more or less leaves all but a few pieces of a list as they were", () =>
  withTempDirectory((directory) => {
    mkdirSync(join(directory, "d"));
    for (let i = 0; i < 3000; i++) writeFileSync(join(directory, `d/file${i}`), "");
    const pieces = (): Set<bigint> => {
      const tree = treeOf(directory);
      const list = createTreeDigester(linux, tree).list(tree.root, { contentsOnly: true });
      const hashes = new Set(Array.from(list, ({ hash }) => hash));
      tree.close();
      return hashes;
    };
    const before = pieces();
    expect(before.size).toBeGreaterThan(5);
    writeFileSync(join(directory, "d/file1000a"), "");
    linux.unlinkat(AT_FDCWD, join(directory, "d/file2000"));
    expect([...pieces()].filter((hash) => !before.has(hash)).length).toBeLessThan(4);
  }));
