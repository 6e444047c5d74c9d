import {
  AT_FDCWD,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_WRONLY,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from "../../../linux/constants.ts";
import type { Linux, Stat } from "../../../linux/Linux.ts";
import { copyContents } from "../../../layer/copyContents.ts";
import { isPrivateAttribute, makeWhiteout } from "../../../layer/overlayForm.ts";
import { describeLayer } from "../../../layer/packLayer.ts";
import type { ImageConfig } from "../../../oci/config.ts";
import type { Digest } from "../../../oci/digest.ts";
import type { View } from "../../../store/Snapshotter.ts";
import type { Lease } from "../../../store/Store.ts";
import type { Engine } from "../../Engine.ts";

/**
 * The image with everything above its first `kept` layers (the base's) in one layer, as Docker's own builder did for `--squash`: what one step wrote and
 * a later one removed is in it no more. The history keeps its entries, and one more says what was merged.
 */
export function squashConfig(
  engine: Engine,
  config: ImageConfig,
  { kept, baseID, imageID, lease }: { kept: number; baseID: Digest | undefined; imageID: Digest; lease: Lease },
): ImageConfig {
  const layers = config.rootfs.diff_ids;
  if (layers.length === kept) return config;
  const base = layers.slice(0, kept);
  const merged = mergeLayers(engine, { base, all: layers, lease });
  let left = kept;
  const history = (config.history ?? []).map((entry) => {
    if (entry.empty_layer === true) return entry;
    return left-- > 0 ? entry : { ...entry, empty_layer: true };
  });
  const created = config.created === undefined ? {} : { created: config.created };
  const comment = `merge ${imageID} to ${baseID ?? "scratch"}`;
  return {
    ...config,
    history: [...history, { ...created, comment }],
    rootfs: { type: "layers", diff_ids: [...base, merged] },
  };
}

/** The difference between two stacks as one layer of the store. */
function mergeLayers(
  { store }: Engine,
  { base, all, lease }: { base: readonly Digest[]; all: readonly Digest[]; lease: Lease },
): Digest {
  const { linux } = store;
  const { snapshotter } = store;
  const views: View[] = [];
  const directory = lease.directory();
  const held: number[] = [];
  const root = (layers: readonly Digest[]): number => {
    const view = snapshotter.view(layers.map((diffID) => store.layers.require(diffID)));
    views.push(view);
    const fd = linux.openat(view.fd, ".", O_RDONLY | O_DIRECTORY);
    held.push(fd);
    return fd;
  };
  try {
    const target = linux.openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
    held.push(target);
    const from = root(all);
    writeDifference(linux, { from, below: root(base), target });
    copyAttributes(linux, from, target, linux.statat(from, ""));
  } finally {
    for (const fd of held) linux.close(fd);
    for (const view of views) view.close();
  }
  const layer = describeLayer(linux, directory);
  store.layers.adopt(directory, layer, lease);
  return layer.diffID;
}

/**
 * Writes into `target`, in overlayfs's form, what makes `below` to `from`: both are views of layers, in which a file that no layer above the base
 * has touched is the same inode.
 */
function writeDifference(linux: Linux, roots: { from: number; below: number; target: number }): void {
  const links = new Map<number, string>();

  /** `below` is undefined where the base has no such directory. Whether anything was written. */
  function directory(from: number, below: number | undefined, enter: () => number, path: string): boolean {
    let target: number | undefined;
    const open = (): number => {
      target ??= enter();
      return target;
    };
    const names = new Set<string>();
    for (const { name } of linux.readdir(from)) {
      names.add(name);
      const stat = linux.statat(from, name);
      const was = below === undefined ? undefined : linux.statatOrUndefined(below, name);
      if ((stat.mode & S_IFMT) === S_IFDIR) child(from, below, open, { name, stat, was, path });
      else if (was === undefined || !isSame(stat, was)) copy(from, open(), { name, stat, path });
    }
    if (below !== undefined)
      for (const { name } of linux.readdir(below)) if (!names.has(name)) makeWhiteout(linux, open(), name);
    return target !== undefined;
  }

  function child(
    from: number,
    below: number | undefined,
    parent: () => number,
    { name, stat, was, path }: { name: string; stat: Stat; was: Stat | undefined; path: string },
  ): void {
    const source = linux.openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    const isDirectory = was !== undefined && (was.mode & S_IFMT) === S_IFDIR;
    const old =
      below !== undefined && isDirectory ? linux.openat(below, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW) : undefined;
    let made: number | undefined;
    const enter = (): number => {
      if (made !== undefined) return made;
      const folder = parent();
      linux.mkdirat(folder, name, 0o700);
      made = linux.openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      return made;
    };
    try {
      const changed =
        old === undefined || !hasSameAttributes(linux, { source, stat }, { source: old, stat: was as Stat });
      if (changed) enter();
      directory(source, old, enter, `${path}${name}/`);
      if (made !== undefined) copyAttributes(linux, source, made, stat);
    } finally {
      for (const fd of [source, old, made]) if (fd !== undefined) linux.close(fd);
    }
  }

  function copy(from: number, target: number, { name, stat, path }: { name: string; stat: Stat; path: string }): void {
    const type = stat.mode & S_IFMT;
    const first = stat.nlink > 1 ? links.get(stat.ino) : undefined;
    if (first !== undefined) {
      linux.linkat(roots.target, first, target, name);
      return;
    }
    if (stat.nlink > 1) links.set(stat.ino, path + name);
    if (type === S_IFREG) {
      const input = linux.openat(from, name, O_RDONLY | O_NOFOLLOW);
      const output = linux.openat(target, name, O_WRONLY | O_CREAT | O_EXCL, 0o600);
      try {
        if (!linux.reflink(input, output)) copyContents(linux, input, output, stat.size);
        copyAttributes(linux, input, output, stat);
      } finally {
        linux.close(input);
        linux.close(output);
      }
      return;
    }
    if (type === S_IFLNK) linux.symlinkat(linux.readlinkat(from, name), target, name);
    else linux.mknodat(target, name, stat.mode, stat.rdevMajor, stat.rdevMinor);
    linux.fchownat(target, name, stat.uid, stat.gid);
    if (type !== S_IFLNK) linux.fchmodat(target, name, stat.mode & 0o7777);
    linux.utimensat(target, name, { sec: stat.mtimeSec, nsec: stat.mtimeNsec });
  }

  directory(roots.from, roots.below, () => roots.target, "");
}

function isSame(a: Stat, b: Stat): boolean {
  return (
    a.ino === b.ino &&
    a.mode === b.mode &&
    a.size === b.size &&
    a.ctimeSec === b.ctimeSec &&
    a.ctimeNsec === b.ctimeNsec
  );
}

interface Side {
  source: number;
  stat: Stat;
}

function hasSameAttributes(linux: Linux, a: Side, b: Side): boolean {
  const { stat: one } = a;
  const { stat: other } = b;
  return (
    one.mode === other.mode &&
    one.uid === other.uid &&
    one.gid === other.gid &&
    one.mtimeSec === other.mtimeSec &&
    one.mtimeNsec === other.mtimeNsec &&
    JSON.stringify(attributesOf(linux, a.source)) === JSON.stringify(attributesOf(linux, b.source))
  );
}

function attributesOf(linux: Linux, fd: number): [string, string][] {
  return linux
    .xattrs(fd, "")
    .filter(([name]) => !isPrivateAttribute(name))
    .map(([name, value]) => [name, Buffer.from(value).toString("hex")]);
}

/** Times last, as everything below a directory has been written by now. */
function copyAttributes(linux: Linux, from: number, to: number, stat: Stat): void {
  linux.fchownat(to, "", stat.uid, stat.gid);
  linux.fchmod(to, stat.mode & 0o7777);
  for (const [name, value] of linux.xattrs(from, ""))
    if (!isPrivateAttribute(name)) linux.setxattr(to, "", name, value);
  linux.utimensat(to, "", { sec: stat.mtimeSec, nsec: stat.mtimeNsec });
}
