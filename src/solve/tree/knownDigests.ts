import { closeSync, fstatSync, mkdirSync, openSync, readSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { FileRow, type FileStat, type FileTable } from "./fileTable.ts";

/**
 * What the files of a tree hold by themselves: the digest of each, found once. With a file to keep them in they are known for the next tree, by the
 * files' stats: a file whose device, inode, size, mtime and ctime are those of its record has the recorded digest. After git's rule for
 * racily clean entries, a file whose ctime is not older than the moment it was read (less the clock's grain) is not recorded: it may change
 * again without its stat showing it.
 */
export interface KnownDigests {
  /** Copies the 32 bytes known of this file to `into`, at `offset`; false when it has to be read. */
  get(file: FileRow, into: Uint8Array, offset: number): boolean;
  /** `readAt`: milliseconds since the epoch, taken before the file was opened. The row's stat is that with which it was read. */
  put(file: FileRow, digest: Uint8Array, readAt: number): void;
  /** Writes what was asked or found for the next time. Does nothing where there is no file to keep it in, or nothing is new. */
  save(): void;
  close(): void;
}

const MAGIC = 0x534c5702;
const HEADER = 16;
/** ino, size, mtimeSec, ctimeSec: f64; mtimeNsec, ctimeNsec, dev (folded): u32; padding; digest */
const RECORD = 80;
const DIGEST_AT = 48;
const DIGEST = 32;
/** The kernel stamps files with a clock that ticks at CONFIG_HZ, 10 ms at the coarsest; twice that is safe. */
const CLOCK_GRAIN_MS = 20;
/** Records written, and read, at once. */
const [BATCH, WINDOW] = [1024, 128];
/** Digests to a block. */
const BLOCK = 1024;

/** A row's `content`: the number of a digest, from one on, and whether it may be recorded. */
const FOUND = 0;
const RACY = 0x4000_0000;
const NUMBER = 0x3fff_ffff;

export function createKnownDigests(files: FileTable, file?: string): KnownDigests {
  const old = file === undefined ? undefined : openRecords(file);
  const digest = new Uint8Array(DIGEST);
  const found: Uint8Array[] = [];
  let count = 0;
  let reused = 0;
  let recordable = 0;

  function get(row: FileRow, into: Uint8Array, offset: number): boolean {
    let { content } = row;
    if (content === 0 && old?.find(row, digest) === true) {
      content = remember(digest, FOUND);
      row.content = content;
      reused++;
    }
    if (content === 0) return false;
    const at = (content & NUMBER) - 1;
    const block = found[Math.floor(at / BLOCK)] as Uint8Array;
    const start = (at % BLOCK) * DIGEST;
    for (let i = 0; i < DIGEST; i++) into[offset + i] = block[start + i] as number;
    return true;
  }

  function remember(bytes: Uint8Array, flags: number): number {
    if (count % BLOCK === 0) found.push(new Uint8Array(BLOCK * DIGEST));
    const block = found[found.length - 1] as Uint8Array;
    const start = (count % BLOCK) * DIGEST;
    for (let i = 0; i < DIGEST; i++) block[start + i] = bytes[i] as number;
    count++;
    return (flags | count) >>> 0;
  }

  return {
    get,
    put(row, bytes, readAt) {
      const racy = row.ctimeSec * 1000 + row.ctimeNsec / 1e6 > readAt - CLOCK_GRAIN_MS;
      if (!racy) recordable++;
      row.content = remember(bytes, racy ? RACY : FOUND);
    },
    save() {
      if (file === undefined || old === undefined) return;
      if (recordable === 0 && reused >= old.count) return;
      const aside = `${file}.${process.pid}`;
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      // Two builds of one context may save at once: each writes its own file, the last rename wins, both are true.
      const fd = openSync(aside, "w", 0o600);
      try {
        for (const bytes of records()) writeSync(fd, bytes);
      } finally {
        closeSync(fd);
      }
      renameSync(aside, file);
    },
    close: () => old?.close(),
  };

  /** In the order of the walk, which the next build will ask in. A piece is valid until the next one. */
  function* records(): Generator<Uint8Array> {
    const buffer = new Uint8Array(RECORD * BATCH);
    const view = new DataView(buffer.buffer);
    view.setUint32(0, MAGIC, true);
    view.setUint32(4, reused + recordable, true);
    yield buffer.subarray(0, HEADER);
    const row = new FileRow(files.blocks, 0);
    let filled = 0;
    for (const number of walk(files, 0)) {
      const { content } = row.move(number);
      if (content === 0 || (content & RACY) !== 0) continue;
      const at = filled * RECORD;
      buffer.fill(0, at, at + RECORD);
      view.setFloat64(at, row.ino, true);
      view.setFloat64(at + 8, row.size, true);
      view.setFloat64(at + 16, row.mtimeSec, true);
      view.setFloat64(at + 24, row.ctimeSec, true);
      view.setUint32(at + 32, row.mtimeNsec, true);
      view.setUint32(at + 36, row.ctimeNsec, true);
      view.setUint32(at + 40, row.dev % 0x1_0000_0000, true);
      get(row, buffer, at + DIGEST_AT);
      if (++filled < BATCH) continue;
      yield buffer;
      filled = 0;
    }
    yield buffer.subarray(0, filled * RECORD);
  }
}

/** The rows of all directories that were read, in the order of a walk. */
function* walk(files: FileTable, row: number): Generator<number> {
  yield row;
  const directories = [row];
  const places = [0];
  for (let depth = 0; depth >= 0; ) {
    const directory = directories[depth] as number;
    const place = places[depth] as number;
    if (place >= files.count(directory)) {
      depth--;
      continue;
    }
    places[depth] = place + 1;
    const child = files.child(directory, place);
    yield child;
    if (files.count(child) <= 0) continue;
    depth++;
    directories[depth] = child;
    places[depth] = 0;
  }
}

/** The records of an earlier build, read as they are asked for: a window of them at a time. */
interface Records {
  readonly count: number;
  /** Copies the digest of a file with this stat. */
  find(stat: FileStat, digest: Uint8Array): boolean;
  close(): void;
}

function openRecords(file: string): Records {
  let fd: number | undefined;
  try {
    fd = openSync(file, "r");
  } catch {
    // the first build of this context
  }
  const count = fd === undefined ? 0 : countRecords(fd);
  const bytes = new Uint8Array(count === 0 ? 0 : WINDOW * RECORD);
  const numbers = new Float64Array(bytes.buffer);
  const words = new Uint32Array(bytes.buffer);
  /** The records in `bytes`. */
  let first = 0;
  let end = 0;
  /** Files are asked for in the order of the records, as a rule. */
  let next = 0;
  let places: Uint32Array | undefined;

  /** Where the record is in `bytes`, from then on until another window is read. */
  function load(record: number): number {
    if (record < first || record >= end) {
      const length = readSync(fd as number, bytes, 0, bytes.length, HEADER + record * RECORD);
      first = record;
      end = record + Math.floor(length / RECORD);
      if (end === first) throw new Error(`${file} became shorter while it was read`);
    }
    return record - first;
  }

  function is(record: number, stat: FileStat): boolean {
    const at = load(record);
    const n = at * (RECORD / 8);
    const w = at * (RECORD / 4) + 8;
    return (
      numbers[n] === stat.ino &&
      numbers[n + 1] === stat.size &&
      numbers[n + 2] === stat.mtimeSec &&
      numbers[n + 3] === stat.ctimeSec &&
      words[w] === stat.mtimeNsec &&
      words[w + 1] === stat.ctimeNsec &&
      words[w + 2] === stat.dev % 0x1_0000_0000
    );
  }

  function inode(record: number): number {
    return numbers[load(record) * (RECORD / 8)] as number;
  }

  /** Open addressing by the inode: a record's number plus one, 0 for nothing. */
  function table(): Uint32Array {
    const made = new Uint32Array(2 ** Math.ceil(Math.log2(2 * count + 1)));
    for (let record = 0; record < count; record++) {
      let place = hash(inode(record)) & (made.length - 1);
      while (made[place] !== 0) place = (place + 1) & (made.length - 1);
      made[place] = record + 1;
    }
    return made;
  }

  function lookup(stat: FileStat): number {
    if (next < count && is(next, stat)) return next;
    // The file has changed where its own record is next: no other is of it.
    if (next < count && stat.nlink === 1 && inode(next) === stat.ino) {
      next++;
      return -1;
    }
    places ??= table();
    for (let place = hash(stat.ino) & (places.length - 1); ; place = (place + 1) & (places.length - 1)) {
      const record = (places[place] as number) - 1;
      if (record < 0 || is(record, stat)) return record;
    }
  }

  return {
    count,
    find(stat, digest) {
      if (count === 0) return false;
      const record = lookup(stat);
      if (record < 0) return false;
      next = record + 1;
      const at = load(record) * RECORD + DIGEST_AT;
      for (let i = 0; i < DIGEST; i++) digest[i] = bytes[at + i] as number;
      return true;
    },
    close() {
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    },
  };
}

/** 0 where the file is none of ours, or was cut short: everything is read again. */
function countRecords(fd: number): number {
  const header = Buffer.alloc(HEADER);
  if (readSync(fd, header, 0, HEADER, 0) < HEADER || header.readUInt32LE() !== MAGIC) return 0;
  const count = header.readUInt32LE(4);
  return fstatSync(fd).size === HEADER + count * RECORD ? count : 0;
}

function hash(ino: number): number {
  const mixed = Math.imul(ino ^ (ino / 0x1_0000_0000), 0x9e3779b1);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
