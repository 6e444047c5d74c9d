import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

/** Lists are aids to an explanation and no more: the oldest go where there are more than this, or where they are larger. */
const MAX_LISTS = 500;
const MAX_BYTES = 64 * 1024 * 1024;
/** Characters that are compressed at once: a list of a million files is never whole in memory. */
const PIECE = 256 * 1024;

/**
 * Keeps what is in the tree of this digest, as `TreeDigester.list` gives it: one list for all steps and builds: `<root>/trees/<digest>`, compressed, written aside and renamed.
 * Does nothing where it is kept already.
 */
export function keepFileList(root: string, digest: string, list: () => Iterable<string>): void {
  const directory = join(root, "trees");
  const file = join(directory, digest);
  if (statSync(file, { throwIfNoEntry: false }) !== undefined) return;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const aside = `${file}.${process.pid}`;
  const fd = openSync(aside, "w", 0o600);
  try {
    for (const frame of frames(list())) writeSync(fd, frame);
  } finally {
    closeSync(fd);
  }
  renameSync(aside, file);
  dropOldest(directory);
}

function* frames(list: Iterable<string>): Generator<Uint8Array> {
  let piece = "";
  let separator = "";
  for (const each of list) {
    piece += separator + each;
    separator = "\0";
    if (piece.length < PIECE) continue;
    yield Bun.zstdCompressSync(Buffer.from(piece), { level: 1 });
    piece = "";
  }
  yield Bun.zstdCompressSync(Buffer.from(piece), { level: 1 });
}

/** The list as path, text, path, text …; undefined where there is none (any more). */
export function readFileList(root: string, digest: string): string[] | undefined {
  const file = join(root, "trees", digest);
  try {
    const text = Buffer.from(Bun.zstdDecompressSync(readFileSync(file))).toString("utf8");
    utimesSync(file, new Date(), new Date()); // the last use
    return text === "" ? [] : text.split("\0");
  } catch {
    return undefined; // dropped, or cut short by a loss of power: the explanation is shorter
  }
}

function dropOldest(directory: string): void {
  const names = readdirSync(directory);
  const stats = names.flatMap((name) => {
    const stat = statSync(join(directory, name), { throwIfNoEntry: false });
    return stat === undefined ? [] : [{ name, size: stat.size, time: stat.mtimeMs }];
  });
  stats.sort((a, b) => b.time - a.time);
  let bytes = 0;
  for (const [n, { name, size }] of stats.entries()) {
    bytes += size;
    if (n >= MAX_LISTS || (n > 0 && bytes > MAX_BYTES)) rmSync(join(directory, name), { force: true });
  }
}
