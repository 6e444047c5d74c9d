import { expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { withTempDirectory } from "../../../test/support/tempDirectory.ts";
import { AT_FDCWD, O_DIRECTORY } from "../../linux/constants.ts";
import { createLinux } from "../../linux/createLinux.ts";
import { createFileTree } from "../tree/FileTree.ts";
import { createTreeDigester } from "../tree/treeDigest.ts";
import { createNodeCopier, type CopyAttributes } from "./copyNode.ts";
import { createLayerWriter } from "./layerWriter.ts";

const linux = createLinux();
const root = { uid: 0, gid: 0 };
const now = { sec: 1_000_000, nsec: 0 };

interface Places {
  context: string;
  lower: string;
  upper: string;
}

async function withPlaces(work: (places: Places) => void): Promise<void> {
  await withTempDirectory((directory) => {
    const places = {
      context: join(directory, "context"),
      lower: join(directory, "lower"),
      upper: join(directory, "upper"),
    };
    for (const path of Object.values(places)) mkdirSync(path);
    work(places);
  });
}

function copy(places: Places, from: string, to: string, merge: boolean, attributes: CopyAttributes = {}): boolean {
  const open = (path: string) => linux.openat(AT_FDCWD, path, O_DIRECTORY);
  const tree = createFileTree(linux, open(places.context), { rootOwned: true });
  const [upper, lower] = [open(places.upper), open(places.lower)];
  const writer = createLayerWriter(linux, upper, lower);
  try {
    const node = tree.lookup(from, true);
    if (node === undefined) throw new Error(`no ${from}`);
    createTreeDigester(linux, tree).digest(node); // as a build does before
    writer.mkdirAll(to.slice(0, Math.max(0, to.lastIndexOf("/"))), root, now);
    const copier = createNodeCopier(linux, tree, writer, attributes);
    copier.copy(node, writer.resolve(to, true).path, merge);
    return copier.changed();
  } finally {
    writer.finish();
    tree.close();
    linux.close(upper);
    linux.close(lower);
  }
}

test("a file keeps its mode, time, bytes and attributes and becomes root's", () =>
  withPlaces((places) => {
    const file = join(places.context, "f");
    writeFileSync(file, "x".repeat(300_000));
    chmodSync(file, 0o4750);
    chownSync(file, 1000, 1000);
    chmodSync(file, 0o4750);
    linux.setxattr(AT_FDCWD, file, "user.a", Buffer.from("b"));
    linux.utimensat(AT_FDCWD, file, { sec: 1_000_000_000, nsec: 123_456_789 });
    expect(copy(places, "f", "new/dir/f", false)).toBe(false);
    const copied = linux.statat(AT_FDCWD, join(places.upper, "new/dir/f"));
    expect(copied).toMatchObject({
      mode: 0o104750,
      uid: 0,
      gid: 0,
      size: 300_000,
      mtimeSec: 1_000_000_000,
      mtimeNsec: 123_456_789,
    });
    expect(linux.xattrs(AT_FDCWD, join(places.upper, "new/dir/f"))).toEqual([
      ["user.a", new Uint8Array(Buffer.from("b"))],
    ]);
    expect(linux.statat(AT_FDCWD, join(places.upper, "new"))).toMatchObject({ mode: 0o040755, mtimeSec: 1_000_000 });
  }));

test("files of a directory have their own modes and owners, whatever umask, set-group-ID or default ACL would make of new ones", () =>
  withPlaces((places) => {
    const modes = [0o600, 0o644, 0o666, 0o777, 0o4755, 0o2711, 0o400, 0];
    mkdirSync(join(places.context, "d/below"), { recursive: true });
    for (const mode of modes)
      for (const folder of ["d", "d/below"]) {
        const file = join(places.context, folder, `f${mode.toString(8)}`);
        writeFileSync(file, "x");
        linux.setxattr(AT_FDCWD, file, "user.mode", Buffer.from(String(mode)));
        chmodSync(file, mode);
      }
    // acl(5) as posix_acl_xattr.h lays it out: owner rwx, group and others nothing.
    const acl = Buffer.alloc(28, 0xff);
    acl.writeUInt32LE(2, 0);
    for (const [i, [tag, bits]] of [[1, 7] as const, [4, 0] as const, [0x20, 0] as const].entries()) {
      acl.writeUInt16LE(tag, 4 + i * 8);
      acl.writeUInt16LE(bits, 6 + i * 8);
    }
    const umask = process.umask(0o027);
    try {
      for (const kind of ["plain", "group", "acl"]) {
        const to = join(places.upper, kind);
        mkdirSync(to);
        if (kind === "group") {
          chownSync(to, 0, 5);
          chmodSync(to, 0o2755);
        }
        if (kind === "acl") linux.setxattr(AT_FDCWD, to, "system.posix_acl_default", acl);
        for (const owner of [root, { uid: 0, gid: 7 }]) {
          const name = `${kind}/${owner.gid}`;
          copy(places, "d", name, false, { owner });
          for (const mode of modes)
            for (const folder of ["", "below/"]) {
              const file = join(places.upper, name, `${folder}f${mode.toString(8)}`);
              const { mode: found, ...stat } = linux.statat(AT_FDCWD, file);
              expect([file, (found & 0o7777).toString(8)]).toEqual([file, mode.toString(8)]);
              expect(stat).toMatchObject({ ...owner, size: 1 });
              expect(linux.getxattr(AT_FDCWD, file, "user.mode")).toEqual(new Uint8Array(Buffer.from(String(mode))));
            }
        }
      }
    } finally {
      process.umask(umask);
    }
  }));

test("a directory of the way that exists below is brought up as it is there", () =>
  withPlaces((places) => {
    mkdirSync(join(places.lower, "srv/data"), { recursive: true });
    chmodSync(join(places.lower, "srv"), 0o1777);
    chownSync(join(places.lower, "srv"), 5, 6);
    utimesSync(join(places.lower, "srv"), 77, 77);
    writeFileSync(join(places.context, "f"), "f");
    copy(places, "f", "srv/f", false);
    expect(linux.statat(AT_FDCWD, join(places.upper, "srv"))).toMatchObject({
      mode: 0o041777,
      uid: 5,
      gid: 6,
      mtimeSec: 77,
    });
    expect(lstatSync(join(places.upper, "srv")).isDirectory()).toBe(true);
  }));

test("links of the destination are followed inside the new root, wherever they point", () =>
  withPlaces((places) => {
    mkdirSync(join(places.lower, "usr/lib"), { recursive: true });
    symlinkSync("usr/lib", join(places.lower, "lib"));
    symlinkSync("/../../../../usr", join(places.lower, "out"));
    writeFileSync(join(places.context, "f"), "f");
    copy(places, "f", "lib/f", false);
    copy(places, "f", "out/g", false);
    expect(readFileSync(join(places.upper, "usr/lib/f"), "utf8")).toBe("f");
    expect(readFileSync(join(places.upper, "usr/g"), "utf8")).toBe("f");
  }));

test("the top directory of the destination keeps its own mode, those below take the source's", () =>
  withPlaces((places) => {
    mkdirSync(join(places.lower, "d/sub"), { recursive: true });
    chmodSync(join(places.lower, "d"), 0o711);
    chmodSync(join(places.lower, "d/sub"), 0o711);
    writeFileSync(join(places.lower, "d/sub/old"), "old");
    mkdirSync(join(places.context, "d/sub/deep"), { recursive: true });
    chmodSync(join(places.context, "d/sub"), 0o750);
    writeFileSync(join(places.context, "d/sub/old"), "new");
    writeFileSync(join(places.context, "d/sub/deep/f"), "f");
    copy(places, "d", "d", true);
    expect(lstatSync(join(places.upper, "d")).mode & 0o777).toBe(0o711);
    expect(lstatSync(join(places.upper, "d/sub")).mode & 0o777).toBe(0o750);
    expect(readFileSync(join(places.upper, "d/sub/old"), "utf8")).toBe("new");
    expect(readFileSync(join(places.upper, "d/sub/deep/f"), "utf8")).toBe("f");
  }));

test("hard links stay links, symbolic links stay as they are, --chmod passes them by", () =>
  withPlaces((places) => {
    mkdirSync(join(places.context, "d/e"), { recursive: true });
    writeFileSync(join(places.context, "d/a"), "a");
    linkSync(join(places.context, "d/a"), join(places.context, "d/e/b"));
    symlinkSync("/nowhere", join(places.context, "d/l"));
    copy(places, "d", "d", true, { mode: () => 0o600, owner: { uid: 3, gid: 4 } });
    expect(lstatSync(join(places.upper, "d/a")).ino).toBe(lstatSync(join(places.upper, "d/e/b")).ino);
    expect(lstatSync(join(places.upper, "d/a"))).toMatchObject({ uid: 3, gid: 4 });
    expect(lstatSync(join(places.upper, "d/a")).mode & 0o7777).toBe(0o600);
    expect(readlinkSync(join(places.upper, "d/l"))).toBe("/nowhere");
  }));

test("a file does not replace a directory, nor a directory a file", () =>
  withPlaces((places) => {
    mkdirSync(join(places.lower, "d/f"), { recursive: true });
    writeFileSync(join(places.lower, "file"), "");
    mkdirSync(join(places.context, "d"));
    writeFileSync(join(places.context, "d/f"), "f");
    mkdirSync(join(places.context, "e/file"), { recursive: true });
    expect(() => copy(places, "d", "d", true)).toThrow("cannot replace the directory /d/f");
    expect(() => copy(places, "e", "", true)).toThrow("not a directory there");
  }));
