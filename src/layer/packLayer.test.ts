import { expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { freshDirectory, type MadeEntry, makeTar, packTree, unpackTar } from "../../test/support/layerTar.ts";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { AT_FDCWD, O_DIRECTORY, S_IFDIR, S_IFMT, S_IFREG } from "../linux/constants.ts";
import { createLinux } from "../linux/createLinux.ts";
import { sha256 } from "../oci/digest.ts";
import { isSlipwayError } from "../oci/SlipwayError.ts";
import { packLayer } from "./packLayer.ts";
import { sameContent } from "./sameContent.ts";

const linux = createLinux();

const segment = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom("a", "b", "c", "d.e", "z") },
  fc.constantFrom("é", "\u{1f980}", "\uff5e", "raw\udcff", "n".repeat(120), "with space", "new\nline"),
);
const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
const entry: fc.Arbitrary<MadeEntry> = fc
  .record({
    path,
    type: fc.constantFrom("file", "file", "directory", "symlink", "fifo", "char", "whiteout", "opaque", "longLink"),
    mode: fc.nat(0o7777),
    uid: fc.constantFrom(0, 1000, 3_000_000),
    gid: fc.constantFrom(0, 50),
    sec: fc.integer({ min: -100, max: 2_000_000_000 }),
    content: fc.string({ maxLength: 1500 }),
    target: path,
    xattr: fc.boolean(),
  })
  .map(({ path: at, type, mode, uid, gid, sec, content, target, xattr }): MadeEntry => {
    if (type === "whiteout") return { path: at.replace(/[^/]*$/, ".wh.$&") };
    if (type === "opaque") return { path: `${at}/.wh..wh..opq` };
    const common = { path: at, mode, uid, gid, mtime: { sec, nsec: 0 } };
    if (type === "symlink") return { ...common, type, linkname: target };
    if (type === "longLink") return { ...common, type: "symlink", linkname: "x".repeat(130) };
    if (type === "char") return { ...common, type, major: 1, minor: 3 };
    if (type === "fifo") return { ...common, type };
    const xattrs: [string, Uint8Array][] = xattr ? [["user.note", Buffer.from(content.slice(0, 40))]] : [];
    if (type === "directory") return { ...common, type, xattrs };
    return { ...common, content, xattrs };
  });

/** Some files get a second name right behind them. */
const layer = fc
  .array(fc.tuple(entry, fc.boolean()), { maxLength: 20 })
  .map((list) =>
    list.flatMap(([each, twice]): MadeEntry[] =>
      twice && each.type === undefined && !each.path.includes(".wh.")
        ? [each, { path: `${each.path}+`, type: "hardlink", linkname: each.path }]
        : [each],
    ),
  );

/** Everything that a tar keeps of a tree, times of directories included. */
function facts(root: string): unknown[] {
  const found: unknown[] = [];
  const walk = (fd: number, prefix: string): void => {
    for (const { name } of linux.readdir(fd)) {
      const { mode, uid, gid, mtimeSec, nlink, size, rdevMajor, rdevMinor } = linux.statat(fd, name);
      const type = mode & S_IFMT;
      const more = type === S_IFREG ? { size } : { rdevMajor, rdevMinor };
      const whiteout = type === 0o020000 && rdevMajor === 0 && rdevMinor === 0;
      // Of a whiteout nothing but its being there is kept.
      const attributes = whiteout ? {} : { mode, uid, gid, mtimeSec, nlink: type === S_IFDIR ? 0 : nlink };
      found.push([prefix + name, type, attributes, more]);
      if (type !== S_IFDIR) continue;
      const child = linux.openat(fd, name, O_DIRECTORY);
      walk(child, `${prefix}${name}/`);
      linux.close(child);
    }
  };
  const fd = linux.openat(AT_FDCWD, root, O_DIRECTORY);
  walk(fd, "");
  linux.close(fd);
  return found.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

/** False for a layer with an entry below links that lead round in circles: that is refused, and no case for a round trip. */
function unpackUnlessLooped(directory: string, bytes: Uint8Array): boolean {
  try {
    unpackTar(linux, directory, bytes);
    return true;
  } catch (error) {
    if (isSlipwayError(error, "BAD_ARCHIVE") && error.message.startsWith("too many symbolic links")) return false;
    throw error;
  }
}

test(
  "unpacking what was packed gives the same tree, and packing that the same bytes",
  () =>
    withTempDirectory((directory) => {
      fc.assert(
        fc.property(layer, (entries) => {
          const one = freshDirectory(directory);
          const two = freshDirectory(directory);
          fc.pre(unpackUnlessLooped(one, makeTar(entries)));
          const packed = packTree(linux, one);
          const { diffID, size } = unpackTar(linux, two, packed);
          expect(diffID).toBe(sha256(packed));
          expect(facts(two)).toEqual(facts(one));
          expect(sameContent(linux, one, two)).toBe(true);
          expect(Buffer.compare(packTree(linux, two), packed)).toBe(0);
          const pieces = packLayer(linux, two);
          let last = pieces.next();
          while (last.done !== true) last = pieces.next();
          expect(last.value.size).toBe(size);
          rmSync(one, { recursive: true });
          rmSync(two, { recursive: true });
        }),
        { numRuns: 40 },
      );
    }),
  30_000,
);

test("names are in a fixed order, parents before children, whatever the order they were made in", () =>
  withTempDirectory((directory) => {
    const entries: MadeEntry[] = ["z", "a/b", "a.b", "a/a", "Z"].map((name) => ({ path: name }));
    const packs = [entries, entries.toReversed()].map((list) => {
      const root = freshDirectory(directory);
      unpackTar(linux, root, makeTar(list));
      // The implied directory gets the time of the moment: one time for both.
      linux.utimensat(AT_FDCWD, join(root, "a"), { sec: 1, nsec: 0 });
      return packTree(linux, root);
    });
    expect(Buffer.compare(packs[0] as Uint8Array, packs[1] as Uint8Array)).toBe(0);
    writeFileSync(join(directory, "x.tar"), packs[0] as Uint8Array);
    const listed = Bun.spawnSync(["tar", "-tf", join(directory, "x.tar")]).stdout.toString();
    expect(listed.trim().split("\n")).toEqual(["Z", "a/", "a/a", "a/b", "a.b", "z"]);
  }));

test("sockets and overlayfs's own attributes are left out", () =>
  withTempDirectory((directory) => {
    const root = freshDirectory(directory);
    unpackTar(linux, root, makeTar([{ path: "d/", type: "directory" }]));
    const without = packTree(linux, root);
    const fd = linux.openat(AT_FDCWD, root, O_DIRECTORY);
    linux.mknodat(fd, "socket", 0o140755, 0, 0);
    linux.setxattr(fd, "d", "trusted.overlay.origin", Buffer.from("x"));
    linux.setxattr(fd, "d", "trusted.overlay.impure", Buffer.from("y"));
    linux.close(fd);
    expect(Buffer.compare(packTree(linux, root), without)).toBe(0);
  }));

const umoci = Bun.which("umoci");

test.skipIf(umoci === null)("umoci unpacks an image of what we pack to the same tree (skipped without umoci)", () =>
  withTempDirectory((directory) => {
    const run = (...args: string[]): void => {
      const done = Bun.spawnSync([umoci as string, ...args], { cwd: directory });
      expect([done.exitCode, done.stderr.toString()]).toEqual([0, expect.any(String)]);
    };
    const root = freshDirectory(directory);
    const tree: MadeEntry[] = [
      { path: "d/", type: "directory", mode: 0o1777, uid: 5, gid: 6 },
      { path: "d/f", content: "hello", mode: 0o4755, uid: 1000, gid: 1000 },
      { path: "d/g", type: "hardlink", linkname: "d/f" },
      { path: "d/l", type: "symlink", linkname: "/away" },
      { path: `d/${"long".repeat(60)}`, content: "x" },
      { path: "d/naïve", content: "é", uid: 3_000_000 },
      { path: "d/empty/", type: "directory", mode: 0o700 },
    ];
    unpackTar(linux, root, makeTar(tree));
    writeFileSync(join(directory, "layer.tar"), packTree(linux, root));
    run("init", "--layout", "image");
    run("new", "--image", "image:one");
    run("raw", "add-layer", "--image", "image:one", "layer.tar");
    run("raw", "unpack", "--image", "image:one", "theirs");
    expect(facts(join(directory, "theirs"))).toEqual(facts(root));
    expect(sameContent(linux, root, join(directory, "theirs"))).toBe(true);
  }),
);

test.skipIf(umoci === null)(
  "a layer that umoci makes is unpacked to the tree it was made of (skipped without umoci)",
  () =>
    withTempDirectory((directory) => {
      const run = (...args: string[]): void => {
        const done = Bun.spawnSync([umoci as string, ...args], { cwd: directory });
        expect([done.exitCode, done.stderr.toString()]).toEqual([0, expect.any(String)]);
      };
      run("init", "--layout", "image");
      run("new", "--image", "image:one");
      const made = freshDirectory(directory);
      unpackTar(
        linux,
        made,
        makeTar([
          { path: "etc/", type: "directory", mode: 0o750, uid: 3 },
          { path: "etc/conf", content: "conf", mode: 0o600, uid: 3, gid: 4 },
          { path: "etc/link", type: "symlink", linkname: "conf" },
        ]),
      );
      run("insert", "--image", "image:one", join(made, "etc"), "/etc");
      const index = JSON.parse(readFileSync(join(directory, "image/index.json"), "utf8"));
      const blob = (digest: string) => readFileSync(join(directory, "image/blobs/sha256", digest.slice(7)));
      const manifest = JSON.parse(blob(index.manifests[0].digest).toString());
      const layer = blob(manifest.layers.at(-1).digest);
      const back = freshDirectory(directory);
      unpackTar(linux, back, Bun.gunzipSync(new Uint8Array(layer)));
      expect(sameContent(linux, join(made, "etc"), join(back, "etc"))).toBe(true);
    }),
);
