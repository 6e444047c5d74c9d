import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Stat } from "../../linux/Linux.ts";

/**
 * What was found out about the files of one context, by their stat: a file whose device, inode, size, mtime and ctime are those of
 * the record has the recorded digest. After git's rule for racily clean entries, a file whose ctime is not older than
 * the moment it was read (less the clock's grain) is not recorded: it may change again without its stat showing it.
 */
export interface StatIndex {
  /** Copies the 32 bytes recorded for this file to `into`, at `offset`; false when it has to be read. */
  get(stat: Stat, into: Uint8Array, offset: number): boolean;
  /** `readAt`: milliseconds since the epoch, taken before the file was opened. False when the file cannot be recorded. */
  put(stat: Stat, digest: Uint8Array, readAt: number): boolean;
  /** Writes the index for the next time: files seen since it was opened. Does nothing when nothing is new. */
  save(): void;
}

const MAGIC = 0x534c5701;
const HEADER = 16;
// ino, size, mtimeSec, ctimeSec: f64; mtimeNsec, ctimeNsec, dev (folded): u32; padding; digest
const RECORD = 80;
/** The kernel stamps files with a clock that ticks at CONFIG_HZ, 10 ms at the coarsest; twice that is safe. */
const CLOCK_GRAIN_MS = 20;

export function openStatIndex(file: string): StatIndex {
  const old = load(file);
  let fresh = new Uint8Array(RECORD * 64);
  let freshView = new DataView(fresh.buffer);
  /** Records of `old` that are still true. */
  const seen = new Uint8Array(old.count);
  let count = 0;
  /** Where in `fresh` an inode is. */
  const slots = new Map<number, number>();

  function append(stat: Stat, digest: Uint8Array): void {
    if ((count + 1) * RECORD > fresh.length) {
      const larger = new Uint8Array(fresh.length * 2);
      larger.set(fresh);
      fresh = larger;
      freshView = new DataView(fresh.buffer);
    }
    const at = count++ * RECORD;
    freshView.setFloat64(at, stat.ino, true);
    freshView.setFloat64(at + 8, stat.size, true);
    freshView.setFloat64(at + 16, stat.mtimeSec, true);
    freshView.setFloat64(at + 24, stat.ctimeSec, true);
    freshView.setUint32(at + 32, stat.mtimeNsec, true);
    freshView.setUint32(at + 36, stat.ctimeNsec, true);
    freshView.setUint32(at + 40, stat.dev % 0x1_0000_0000, true);
    fresh.set(digest, at + 48);
  }

  return {
    get(stat, into, offset) {
      const at = find(old, stat);
      if (at >= 0) {
        seen[(at - HEADER) / RECORD] = 1;
        copyDigest(old.bytes, at, into, offset);
        return true;
      }
      const slot = slots.get(stat.ino);
      if (slot === undefined || !isSame(freshView, slot * RECORD, stat)) return false;
      copyDigest(fresh, slot * RECORD, into, offset);
      return true;
    },
    put(stat, digest, readAt) {
      const ctime = stat.ctimeSec * 1000 + stat.ctimeNsec / 1e6;
      if (ctime > readAt - CLOCK_GRAIN_MS) return false;
      slots.set(stat.ino, count);
      append(stat, digest);
      return true;
    },
    save() {
      if (count === 0 && !seen.includes(0)) return;
      const aside = `${file}.${process.pid}`;
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      // Two builds of one context may save at once: each writes its own file, the last rename wins, both are true.
      writeFileSync(aside, merged(), { mode: 0o600 });
      renameSync(aside, file);
    },
  };

  /** What is still true of the old records, and the new ones, sorted by inode. */
  function merged(): Uint8Array {
    const order = new Uint32Array(count).map((_, i) => i);
    order.sort((a, b) => freshView.getFloat64(a * RECORD, true) - freshView.getFloat64(b * RECORD, true));
    const out = new Uint8Array(HEADER + (old.count + count) * RECORD);
    let end = HEADER;
    let next = 0;
    const add = (bytes: Uint8Array, at: number): void => {
      out.set(bytes.subarray(at, at + RECORD), end);
      end += RECORD;
    };
    for (let i = 0; i < old.count; i++) {
      if (seen[i] === 0) continue;
      const at = HEADER + i * RECORD;
      const ino = old.view.getFloat64(at, true);
      for (; next < count && freshView.getFloat64((order[next] as number) * RECORD, true) <= ino; next++)
        add(fresh, (order[next] as number) * RECORD);
      add(old.bytes, at);
    }
    for (; next < count; next++) add(fresh, (order[next] as number) * RECORD);
    const header = new DataView(out.buffer);
    header.setUint32(0, MAGIC, true);
    header.setUint32(4, (end - HEADER) / RECORD, true);
    return out.subarray(0, end);
  }
}

interface Loaded {
  bytes: Uint8Array;
  view: DataView;
  count: number;
}

function load(file: string): Loaded {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch {
    bytes = new Uint8Array(0); // the first build of this context
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER || view.getUint32(0, true) !== MAGIC) return { bytes, view, count: 0 };
  const count = view.getUint32(4, true);
  // A file that was cut short is as good as none: everything is read again.
  return { bytes, view, count: bytes.length === HEADER + count * RECORD ? count : 0 };
}

/** Binary search by inode, then every part must agree. */
function find({ view, count }: Loaded, stat: Stat): number {
  let low = 0;
  let high = count - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const at = HEADER + middle * RECORD;
    const ino = view.getFloat64(at, true);
    if (ino < stat.ino) low = middle + 1;
    else if (ino > stat.ino) high = middle - 1;
    else {
      return isSame(view, at, stat) ? at : -1;
    }
  }
  return -1;
}

/** All but the inode. */
function isSame(view: DataView, at: number, stat: Stat): boolean {
  return (
    view.getFloat64(at + 8, true) === stat.size &&
    view.getFloat64(at + 16, true) === stat.mtimeSec &&
    view.getFloat64(at + 24, true) === stat.ctimeSec &&
    view.getUint32(at + 32, true) === stat.mtimeNsec &&
    view.getUint32(at + 36, true) === stat.ctimeNsec &&
    view.getUint32(at + 40, true) === stat.dev % 0x1_0000_0000
  );
}

/** Of the record at `at`. */
function copyDigest(records: Uint8Array, at: number, into: Uint8Array, offset: number): void {
  for (let i = 0; i < 32; i++) into[offset + i] = records[at + 48 + i] as number;
}
