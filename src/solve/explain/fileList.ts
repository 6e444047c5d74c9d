import {
  closeSync,
  fstatSync,
  futimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { isErrno } from "../../linux/LinuxError.ts";
import { DamagedList } from "./fileChanges.ts";

/** Lists are aids to an explanation and no more: the oldest go where there are more than this, or where they are larger. */
const MAX_LISTS = 500;
const MAX_BYTES = 64 * 1024 * 1024;
/** Characters that are compressed at once: a list of a million files is never whole in memory. */
const PIECE = 256 * 1024;
const LENGTH = 4;

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

/** Each frame behind its length; a length of zero ends the list. Strings that belong to one another may lie in two frames. */
function* frames(list: Iterable<string>): Generator<Uint8Array> {
  let piece = "";
  let separator = "";
  for (const each of list) {
    piece += separator + each;
    separator = "\0";
    if (piece.length < PIECE) continue;
    yield* frame(piece);
    piece = separator = "";
  }
  if (separator !== "") yield* frame(piece);
  yield new Uint8Array(LENGTH);
}

function* frame(piece: string): Generator<Uint8Array> {
  const bytes = Bun.zstdCompressSync(Buffer.from(piece), { level: 1 });
  const length = Buffer.alloc(LENGTH);
  length.writeUInt32LE(bytes.length);
  yield length;
  yield bytes;
}

/**
 * The list as path, text, path, text …, read as it is asked for; undefined where there is none (any more).
 * @throws DamagedList from the iteration: it was cut short by a loss of power, or is of an older form
 */
export function readFileList(root: string, digest: string): Iterable<string> | undefined {
  const file = join(root, "trees", digest);
  let fd: number;
  try {
    fd = openSync(file, "r");
    futimesSync(fd, new Date(), new Date()); // the last use
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined; // dropped: the explanation is shorter
    throw error;
  }
  return strings(fd);
}

function* strings(fd: number): Generator<string> {
  try {
    const length = Buffer.alloc(LENGTH);
    const limit = fstatSync(fd).size;
    for (;;) {
      const size = readSync(fd, length) === LENGTH ? length.readUInt32LE() : limit;
      if (size === 0) return;
      if (size >= limit) throw new DamagedList();
      const bytes = new Uint8Array(size);
      if (readSync(fd, bytes) !== size) throw new DamagedList();
      yield* decompress(bytes).split("\0");
    }
  } finally {
    closeSync(fd);
  }
}

function decompress(bytes: Uint8Array): string {
  try {
    return Buffer.from(Bun.zstdDecompressSync(bytes)).toString("utf8");
  } catch (cause) {
    throw new DamagedList("a list of files is no list", { cause });
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
