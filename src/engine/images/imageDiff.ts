import { O_DIRECTORY, O_NOFOLLOW, O_RDONLY, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../linux/constants.ts";
import type { Linux, Stat } from "../../linux/Linux.ts";
import { compareLayers } from "../../layer/compareLayers.ts";
import type { ImageConfig } from "../../oci/config.ts";
import type { Digest } from "../../oci/digest.ts";
import type { ImageRecord } from "../../store/Store.ts";
import type { View } from "../../store/Snapshotter.ts";
import type { Engine } from "../Engine.ts";
import { resolveImage } from "./resolveImage.ts";
import { isRecord } from "../../oci/isRecord.ts";

export interface FileChange {
  kind: "added" | "changed" | "removed";
  /** With a leading `/`. */
  path: string;
  /** Bytes of the file or of the link's target before and after; 0 for what has none, as a directory. */
  before: number;
  after: number;
  /** Of a changed one: what differs, in words. */
  what: string[];
}

export interface ConfigChange {
  /** Keys with dots, `config.Env`. A list is one value. */
  field: string;
  /** Undefined where the field is not there. */
  before?: unknown;
  after?: unknown;
}

export interface ImageDiff {
  from: Digest;
  to: Digest;
  /** Layers of each, and how many of them from the lowest on are the same ones. */
  layers: { from: number; to: number; shared: number };
  /** In the order of their paths. */
  files: FileChange[];
  config: ConfigChange[];
}

/** Differences between two looks at the signal. */
const TURN = 2000;

/**
 * What a container would find different in the second image: files by type, mode, owner, device, bytes, link target and extended attributes; and the
 * fields of the config but its history. Times do not count. @throws SlipwayError `IMAGE_NOT_FOUND`, `AMBIGUOUS_ID`, `MOUNT_FAILED`
 */
export async function imageDiff(engine: Engine, from: string, to: string): Promise<ImageDiff> {
  const { store } = engine;
  const lease = store.lease("diff");
  try {
    const [a, b] = [from, to].map((name) => {
      const record = resolveImage(engine, name);
      lease.protect("image", record.id);
      for (const diffID of record.config.rootfs.diff_ids) lease.protect("layer", diffID);
      return record;
    }) as [ImageRecord, ImageRecord];
    const [layersA, layersB] = [a.config.rootfs.diff_ids, b.config.rootfs.diff_ids];
    let shared = 0;
    while (shared < layersA.length && layersA[shared] === layersB[shared]) shared++;
    const same = shared === layersA.length && shared === layersB.length;
    return {
      from: a.id,
      to: b.id,
      layers: { from: layersA.length, to: layersB.length, shared },
      files: same ? [] : await filesOf(engine, layersA, layersB),
      config: [...configChanges(plain(a.config), plain(b.config), "")],
    };
  } finally {
    lease.release();
  }
}

async function filesOf(engine: Engine, from: readonly Digest[], to: readonly Digest[]): Promise<FileChange[]> {
  const { store } = engine;
  const { linux } = store;
  const views: View[] = [];
  try {
    for (const layers of [from, to])
      views.push(store.snapshotter.view(layers.map((diffID) => store.layers.require(diffID))));
    const [a, b] = views.map(({ fd }) => fd) as [number, number];
    const files: FileChange[] = [];
    let turn = 0;
    for (const file of changes(linux, a, b)) {
      files.push(file);
      if (++turn % TURN !== 0) continue;
      await new Promise<void>((next) => setImmediate(next));
      engine.signal.throwIfAborted();
    }
    return files;
  } finally {
    for (const view of views) view.close();
  }
}

function* changes(linux: Linux, a: number, b: number): Generator<FileChange> {
  const options = { times: false, roots: true };
  for (const { path, what } of compareLayers(linux, `/proc/self/fd/${a}/.`, `/proc/self/fd/${b}/.`, options)) {
    if (what[0] === "missing in the first") yield* whole(linux, b, path, "added");
    else if (what[0] === "missing in the second") yield* whole(linux, a, path, "removed");
    else {
      // The comparison went there through directories alone.
      const [before, after] = [linux.statat(a, path), linux.statat(b, path)];
      yield { kind: "changed", path: `/${path}`, before: bytesOf(before), after: bytesOf(after), what };
      if (what[0] !== "type") continue;
      // What was a directory, or has become one, takes or brings what is in it.
      if (isDirectory(before)) yield* inside(linux, a, path, "removed");
      if (isDirectory(after)) yield* inside(linux, b, path, "added");
    }
  }
}

function* whole(linux: Linux, root: number, path: string, kind: "added" | "removed"): Generator<FileChange> {
  const stat = linux.statat(root, path);
  const bytes = bytesOf(stat);
  const [before, after] = kind === "added" ? [0, bytes] : [bytes, 0];
  yield { kind, path: `/${path}`, before, after, what: [] };
  if (isDirectory(stat)) yield* inside(linux, root, path, kind);
}

function* inside(linux: Linux, root: number, path: string, kind: "added" | "removed"): Generator<FileChange> {
  const directory = linux.openat(root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  let names: string[];
  try {
    names = linux.readdir(directory).map(({ name }) => name);
  } finally {
    linux.close(directory);
  }
  for (const name of names.sort()) yield* whole(linux, root, `${path}/${name}`, kind);
}

function isDirectory({ mode }: Stat): boolean {
  return (mode & S_IFMT) === S_IFDIR;
}

function bytesOf({ mode, size }: Stat): number {
  const type = mode & S_IFMT;
  return type === S_IFREG || type === S_IFLNK ? size : 0;
}

/** Layers are compared by what is in them; the history says how they were made, with times. */
function plain({ rootfs: _, history: __, created: ___, ...config }: ImageConfig): object {
  return config;
}

function* configChanges(before: unknown, after: unknown, field: string): Generator<ConfigChange> {
  if (Bun.deepEquals(before, after, true)) return;
  if (field !== "" && !(isRecord(before) && isRecord(after))) {
    yield {
      field,
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
    };
    return;
  }
  const [a, b] = [before, after] as [Record<string, unknown>, Record<string, unknown>];
  for (const key of [...new Set([...Object.keys(a), ...Object.keys(b)])].sort())
    yield* configChanges(a[key], b[key], field === "" ? key : `${field}.${key}`);
}
