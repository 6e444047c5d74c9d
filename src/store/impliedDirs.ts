import { existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { opaqueAttribute } from "../layer/overlayForm.ts";
import type { Linux, Stat } from "../linux/Linux.ts";
import { AT_FDCWD, S_IFDIR, S_IFMT } from "../linux/constants.ts";
import { isErrno } from "../linux/LinuxError.ts";
import { sha256 } from "../oci/digest.ts";
import type { LayerRecord, Store } from "./Store.ts";

/** A directory to be stacked, with a path of it that is short. */
export interface StackedLayer {
  path: string;
  /** Relative to the store's root. */
  shortPath(): string;
}

interface Attributes {
  stat: Stat;
  xattrs: [string, Uint8Array][];
}

/**
 * The stack of `layers`, lowest first, with a fix-up on top of each layer whose tar implies directories that it does not list (image-spec,
 * layer.md leaves their attributes open: unpacking over the layers below keeps what is there, and so do we). A fix-up holds nothing but
 * such directories, with the mode, owner, attributes and time that they have below; it depends on the chain so far, is made once for it,
 * and lies beside its layer so that it goes with it.
 *
 * A layer that comes twice is stacked where it comes last: overlayfs takes no directory twice, and all that the lower one shows or hides
 * the upper one shows or hides as well.
 */
export function stackLayers(store: Store, layers: LayerRecord[]): StackedLayer[] {
  const last = new Map(layers.map(({ diffID }, i) => [diffID, i]));
  return layers.flatMap((layer, i) => {
    const stacked: StackedLayer = { path: layer.path, shortPath: () => store.layers.shortPath(layer.diffID) };
    const own = last.get(layer.diffID) === i ? [stacked] : [];
    const fixes = i === 0 || layer.impliedDirs.length === 0 ? [] : findFixes(store.linux, layers.slice(0, i + 1));
    if (fixes.length === 0) return own;
    const name = sha256(
      layers
        .slice(0, i + 1)
        .map(({ diffID }) => diffID)
        .join(" "),
    ).slice(7, 23);
    const path = join(dirname(layer.path), "fixups", name);
    if (!existsSync(path)) makeFixup(store, path, fixes);
    return [...own, { path, shortPath: () => `${stacked.shortPath()}/../fixups/${name}` }];
  });
}

/** Every directory of the fix-up, parents first, with what it should be; empty where the layers say the same already. */
function findFixes(linux: Linux, layers: LayerRecord[]): [path: string, Attributes][] {
  const top = layers[layers.length - 1] as LayerRecord;
  const wanted = new Set<string>([""]);
  let differs = false;
  for (const dir of top.impliedDirs.map(normal)) {
    const found = resolve(linux, layers, dir);
    const now = attributes(linux, top, dir);
    if (found === undefined || now === undefined || equal(found, now)) continue;
    differs = true;
    const parts = dir.split("/");
    for (let n = 1; n <= parts.length; n++) wanted.add(parts.slice(0, n).join("/"));
  }
  if (!differs) return [];
  return [...wanted].sort().map((dir) => {
    const found = resolve(linux, layers, dir);
    if (found === undefined) throw new Error(`layer ${top.diffID} does not hold the directory ${dir} that it implies`);
    return [dir, found];
  });
}

/** What the topmost layer that lists `dir` says, as far as the layers above let it through. */
function resolve(linux: Linux, layers: LayerRecord[], dir: string): Attributes | undefined {
  let last: Attributes | undefined;
  for (const layer of layers.toReversed()) {
    const found = attributes(linux, layer, dir);
    if (found === undefined) {
      if (hides(linux, layer, dir)) return last;
      continue;
    }
    if ((found.stat.mode & S_IFMT) !== S_IFDIR) return last;
    last = found;
    if (!layer.impliedDirs.some((implied) => normal(implied) === dir)) return found;
  }
  return last;
}

/** Whether a parent of `dir`, which `layer` does not hold, is opaque or no directory there: nothing of `dir` shines through from below. */
function hides(linux: Linux, layer: LayerRecord, dir: string): boolean {
  for (let parent = dirname(dir); parent !== "."; parent = dirname(parent)) {
    const stat = statOf(linux, join(layer.path, parent));
    if (stat === undefined) continue;
    if ((stat.mode & S_IFMT) !== S_IFDIR) return true;
    if (linux.getxattr(AT_FDCWD, join(layer.path, parent), opaqueAttribute(linux))?.[0] === 0x79) return true;
  }
  return false;
}

function attributes(linux: Linux, layer: LayerRecord, dir: string): Attributes | undefined {
  const path = join(layer.path, dir);
  const stat = statOf(linux, path);
  if (stat === undefined) return undefined;
  return {
    stat,
    xattrs: linux
      .xattrs(AT_FDCWD, path)
      .filter(([name]) => !name.startsWith("trusted.overlay.") && !name.startsWith("user.overlay.")),
  };
}

function statOf(linux: Linux, path: string): Stat | undefined {
  try {
    return linux.statatOrUndefined(AT_FDCWD, path);
  } catch (error) {
    if (isErrno(error, "ENOTDIR")) return undefined;
    throw error;
  }
}

function equal(a: Attributes, b: Attributes): boolean {
  return (
    a.stat.mode === b.stat.mode &&
    a.stat.uid === b.stat.uid &&
    a.stat.gid === b.stat.gid &&
    a.xattrs.length === b.xattrs.length &&
    a.xattrs.every(([name, value], i) => {
      const other = b.xattrs[i];
      return other !== undefined && other[0] === name && Buffer.compare(other[1], value) === 0;
    })
  );
}

function makeFixup(store: Store, path: string, fixes: [string, Attributes][]): void {
  const { linux } = store;
  const lease = store.lease("fix-up layer");
  try {
    const aside = lease.directory();
    for (const [dir] of fixes) if (dir !== "") mkdirSync(join(aside, dir));
    // Times last, children before parents: making an entry touches its parent.
    for (const [dir, found] of fixes.toReversed()) applyAttributes(linux, join(aside, dir), found);
    // Nothing but names and attributes: a journal keeps these in order, so that after a loss of power the name below is there with all of it.
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    try {
      linux.renameat2(AT_FDCWD, aside, AT_FDCWD, path);
    } catch (error) {
      // Another process was quicker; its fix-up is the same.
      if (!isErrno(error, "EEXIST", "ENOTEMPTY")) throw error;
    }
  } finally {
    lease.release();
  }
}

/** Makes the directory `path` what `found` says. */
function applyAttributes(linux: Linux, path: string, { stat, xattrs }: Attributes): void {
  linux.fchownat(AT_FDCWD, path, stat.uid, stat.gid);
  linux.fchmodat(AT_FDCWD, path, stat.mode & 0o7777);
  for (const [name, value] of xattrs) linux.setxattr(AT_FDCWD, path, name, value);
  linux.utimensat(AT_FDCWD, path, { sec: stat.mtimeSec, nsec: stat.mtimeNsec });
}

function normal(path: string): string {
  return path
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/");
}
