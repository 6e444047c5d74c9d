import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import fc from "fast-check";
import { freshDirectory, packTree, unpackTar } from "../../test/support/layerTar.ts";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import {
  AT_FDCWD,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_WRONLY,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  SEEK_CUR,
} from "../linux/constants.ts";
import { createLinux } from "../linux/createLinux.ts";
import { decodePath } from "../linux/pathBytes.ts";
import { sha256 } from "../oci/digest.ts";
import { opaqueAttribute, OPAQUE_VALUE } from "./overlayForm.ts";
import { describeLayer } from "./packLayer.ts";
import { sameContent } from "./sameContent.ts";

const linux = createLinux();
const MAX_DEPTH = 6;

const anyName = fc
  .oneof(
    {
      weight: 3,
      arbitrary: fc.string({ unit: "binary", minLength: 1, maxLength: 12 }).map((text) => Buffer.from(text)),
    },
    fc.uint8Array({ minLength: 1, maxLength: 12 }),
    fc.uint8Array({ minLength: 200, maxLength: 255 }),
  )
  .map((bytes) => decodePath(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x5f : byte)).subarray(0, 255)))
  .filter((name) => name !== "." && name !== ".." && !name.startsWith(".wh."));

const attribute = fc.tuple(
  fc.constantFrom("user.a", "user.=", "user.a=b%3Dc", "user.100%", "user.näme", "trusted.t"),
  fc.uint8Array({ maxLength: 120 }),
);

const node = fc.record({
  name: anyName,
  type: fc.constantFrom(
    "directory",
    "directory",
    "file",
    "file",
    "symlink",
    "link",
    "fifo",
    "char",
    "block",
    "whiteout",
  ),
  /** Which of the directories, or of the files for a link, that were made before. */
  parent: fc.nat(),
  other: fc.nat(),
  mode: fc.nat(0o7777),
  uid: fc.oneof(fc.nat(3000), fc.constantFrom(0o7777777, 0o10000000, 0xfffffffe)),
  gid: fc.oneof(fc.nat(3000), fc.constantFrom(0o7777777, 0o10000000, 0xfffffffe)),
  sec: fc.oneof(
    fc.integer({ min: -(2 ** 31), max: 2 ** 31 }),
    fc.constantFrom(-1, 0, 2 ** 33 - 1, 2 ** 33, 2 ** 33 + 1),
  ),
  nsec: fc.nat(999_999_999),
  content: fc.uint8Array({ maxLength: 2000 }),
  hole: fc.constantFrom(0, 0, 5000, 100_000),
  target: fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => decodePath(bytes.map((byte) => byte || 1))),
  xattrs: fc.array(attribute, { maxLength: 3 }),
  opaque: fc.boolean(),
});
type Node = typeof node extends fc.Arbitrary<infer T> ? T : never;

/** Makes the tree by system calls alone. */
function make(root: string, nodes: Node[]): void {
  const top = linux.openat(AT_FDCWD, root, O_DIRECTORY);
  const directories = [{ fd: top, depth: 0 }];
  const files: [fd: number, name: string][] = [];
  const times: [fd: number, name: string, node: Node][] = [];
  for (const each of nodes) {
    const { fd: parent, depth } = directories[each.parent % directories.length] as { fd: number; depth: number };
    const { name, mode } = each;
    if (linux.statatOrUndefined(parent, name) !== undefined) continue;
    if (each.type === "link") {
      const of = files[each.other % Math.max(1, files.length)];
      if (of !== undefined) linux.linkat(...of, parent, name);
      continue;
    }
    if (each.type === "whiteout") {
      linux.mknodat(parent, name, S_IFCHR, 0, 0);
      continue;
    }
    let fd: number | undefined;
    if (each.type === "directory") {
      if (depth === MAX_DEPTH) continue;
      linux.mkdirat(parent, name, 0o700);
      fd = linux.openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      directories.push({ fd, depth: depth + 1 });
    } else if (each.type === "file") {
      fd = linux.openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
      linux.lseek(fd, each.hole, SEEK_CUR);
      linux.write(fd, each.content);
    } else if (each.type === "symlink") linux.symlinkat(each.target, parent, name);
    else {
      const type = each.type === "fifo" ? S_IFIFO : each.type === "char" ? S_IFCHR : S_IFBLK;
      linux.mknodat(
        parent,
        name,
        type | 0o600,
        each.type === "fifo" ? 0 : 7,
        each.type === "fifo" ? 0 : each.other % 256,
      );
    }
    linux.fchownat(parent, name, each.uid, each.gid);
    if (each.type !== "symlink") linux.fchmodat(parent, name, mode);
    for (const [key, value] of fd === undefined ? [] : each.xattrs) linux.setxattr(fd as number, "", key, value);
    if (each.type === "directory" && each.opaque)
      linux.setxattr(fd as number, "", opaqueAttribute(linux), OPAQUE_VALUE);
    if (each.type === "file") linux.close(fd as number);
    if (each.type !== "directory") files.push([parent, name]);
    times.push([parent, name, each]);
  }
  for (const [fd, name, { sec, nsec }] of times.reverse()) linux.utimensat(fd, name, { sec, nsec });
  for (const { fd } of directories) linux.close(fd);
}

/** All that a tar keeps of a tree: a hard link is told by the first name of its file. */
function facts(root: string): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  const inodes = new Map<number, string>();
  const walk = (fd: number, prefix: string): void => {
    const names = linux.readdir(fd).map(({ name }) => name);
    for (const name of names.sort()) {
      const { mode, uid, gid, mtimeSec, size, rdevMajor, rdevMinor, ino } = linux.statat(fd, name);
      const path = prefix + name;
      const type = mode & S_IFMT;
      if (type === S_IFCHR && rdevMajor === 0) {
        found[path] = "whiteout";
        continue;
      }
      const fact: unknown[] = [mode, uid, gid, mtimeSec, rdevMajor, rdevMinor];
      if (type !== S_IFDIR) {
        if (!inodes.has(ino)) inodes.set(ino, path);
        fact.push(inodes.get(ino));
      }
      if (type === S_IFLNK) fact.push(linux.readlinkat(fd, name));
      if (type === S_IFDIR || type === S_IFREG) {
        const child = linux.openat(fd, name, O_RDONLY | O_NOFOLLOW);
        fact.push(linux.xattrs(child, "").map(([key, value]) => [key, Buffer.from(value).toString("hex")]));
        if (type === S_IFDIR) walk(child, `${path}/`);
        else {
          const bytes = new Uint8Array(size);
          fact.push(linux.pread(child, bytes, 0), sha256(bytes));
        }
        linux.close(child);
      }
      found[path] = fact;
    }
  };
  const fd = linux.openat(AT_FDCWD, root, O_DIRECTORY);
  walk(fd, "");
  linux.close(fd);
  return found;
}

test(
  "any tree of files comes back from its tar as it was, and the tar is the same every time and what the layer is said to be",
  () =>
    withTempDirectory((directory) => {
      fc.assert(
        fc.property(fc.array(node, { maxLength: 25 }), (nodes) => {
          const [one, two] = [freshDirectory(directory), freshDirectory(directory)];
          make(one, nodes);
          const packed = packTree(linux, one);
          const { timeless, ...described } = describeLayer(linux, one);
          expect({ timeless, ...described }).toEqual(describeLayer(linux, one));
          expect([described.diffID, described.tarSize]).toEqual([sha256(packed), packed.length]);
          const unpacked = unpackTar(linux, two, packed);
          expect(facts(two)).toEqual(facts(one));
          expect(unpacked).toEqual({ ...described, impliedDirs: [""] });
          expect(describeLayer(linux, two).timeless).toBe(timeless);
          expect(Buffer.compare(packTree(linux, two), packed)).toBe(0);
          expect(sameContent(linux, one, two)).toBe(true);
          for (const each of [one, two]) rmSync(each, { recursive: true });
        }),
        { numRuns: 60 },
      );
    }),
  30_000,
);
