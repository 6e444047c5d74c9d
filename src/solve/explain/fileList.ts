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
import { DamagedList, type FileList, type Piece } from "./entries.ts";

/** Lists are aids to an explanation and no more: the oldest go where there are more than this, or where they are larger. */
const MAX_LISTS = 500;
const MAX_BYTES = 64 * 1024 * 1024;
/** Of the length, and with the hash. */
const [LENGTH, HEADER] = [4, 12];

/**
 * Keeps what is in the tree of this digest, as `TreeDigester.list` gives it: one list for all steps and builds: `<root>/trees/<digest>`, compressed, written aside and renamed.
 * Does nothing where it is kept already.
 */
export function keepFileList(root: string, digest: string, list: () => FileList): void {
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

/** Each piece, compressed, behind its length and its hash; a length of zero ends the list. */
function* frames(list: FileList): Generator<Uint8Array> {
  const header = Buffer.alloc(HEADER);
  for (const piece of list) {
    const frame = Bun.zstdCompressSync(piece.bytes() as Uint8Array<ArrayBuffer>, { level: 1 });
    header.writeUInt32LE(frame.length);
    header.writeBigUInt64LE(piece.hash, LENGTH);
    yield header;
    yield frame;
  }
  yield header.fill(0);
}

/** The list, read as it is asked for; undefined where there is none (any more). */
export function readFileList(root: string, digest: string): FileList | undefined {
  const file = join(root, "trees", digest);
  let fd: number;
  try {
    fd = openSync(file, "r");
    futimesSync(fd, new Date(), new Date()); // the last use
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined; // dropped: the explanation is shorter
    throw error;
  }
  return pieces(fd);
}

function* pieces(fd: number): Generator<Piece> {
  try {
    const header = Buffer.alloc(HEADER);
    const { size } = fstatSync(fd);
    for (let at = 0; ; ) {
      if (readSync(fd, header, 0, HEADER, at) !== HEADER) throw new DamagedList("a list of files has no end");
      const length = header.readUInt32LE();
      const start = at + HEADER;
      if (length === 0) return;
      at = start + length;
      if (at > size) throw new DamagedList("a list of files is cut short");
      yield { hash: header.readBigUInt64LE(LENGTH), bytes: () => decompress(fd, start, length) };
    }
  } finally {
    closeSync(fd);
  }
}

function decompress(fd: number, start: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  readSync(fd, bytes, 0, length, start);
  try {
    return Bun.zstdDecompressSync(bytes);
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
