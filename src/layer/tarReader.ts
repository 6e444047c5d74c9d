import type { Timespec } from "../linux/Linux.ts";
import { decodePath } from "../linux/pathBytes.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";

export type TarEntryType = "file" | "directory" | "symlink" | "hardlink" | "char" | "block" | "fifo";

export interface TarEntry {
  /** As written, PAX and GNU long names applied. */
  path: string;
  type: TarEntryType;
  /** Permission bits with setuid, setgid and sticky. */
  mode: number;
  uid: number;
  gid: number;
  /** Bytes of data that follow; 0 for all but files. */
  size: number;
  mtime: Timespec;
  linkname: string;
  major: number;
  minor: number;
  xattrs: [name: string, value: Uint8Array][];
}

/** Hears the entries of an archive in order: `entry`, then `data` until `size` bytes were given, then `end`. */
export interface TarHandler {
  entry(entry: TarEntry): void;
  data(chunk: Uint8Array): void;
  end(): void;
}

export interface TarReader {
  /** Takes the next bytes, in pieces of any size. `chunk` is not kept. */
  push(chunk: Uint8Array): void;
  /** @throws SlipwayError `TRUNCATED_ARCHIVE` when the last entry is not whole */
  finish(): void;
}

const BLOCK = 512;
/** PAX headers and long names are held in memory: far more than any real one. */
const MAX_EXTENDED = 8 * 1024 * 1024;

/**
 * Reads ustar, PAX (local and global headers, SCHILY.xattr, sub-second times) and GNU archives (long names, base-256 numbers).
 * Memory does not grow with the archive. @throws SlipwayError `BAD_ARCHIVE`, `UNSUPPORTED_ENTRY`
 */
export function createTarReader(handler: TarHandler): TarReader {
  const header = new Uint8Array(BLOCK);
  let filled = 0;
  let state: "header" | "data" | "extended" | "padding" | "done" = "header";
  let remaining = 0;
  let padding = 0;
  let extended: Uint8Array[] = [];
  let extendedType = "";
  let longName: string | undefined;
  let longLink: string | undefined;
  let local: Map<string, Uint8Array> = new Map();
  const global: Map<string, Uint8Array> = new Map();

  function afterData(): void {
    remaining = padding;
    state = padding > 0 ? "padding" : "header";
  }

  function readHeader(): void {
    if (header.every((byte) => byte === 0)) {
      state = "done"; // what follows the first zero block is filling
      return;
    }
    checkSum(header);
    const type = String.fromCharCode(header[156] as number);
    const size = sizeOf(header, type, local, global);
    padding = (BLOCK - (size % BLOCK)) % BLOCK;
    if ("xgLK".includes(type)) {
      if (size > MAX_EXTENDED) throw bad(`an extended header of ${size} bytes`);
      extendedType = type;
      extended = [];
      remaining = size;
      state = "extended";
      if (size === 0) readExtended();
      return;
    }
    const entry = entryOf(header, type, size, { longName, longLink, local, global });
    longName = longLink = undefined;
    local = new Map();
    handler.entry(entry);
    remaining = entry.size;
    if (entry.type !== "file") padding = 0;
    if (remaining === 0) {
      handler.end();
      afterData();
      if (state === "padding" && remaining === 0) state = "header";
    } else state = "data";
  }

  function readExtended(): void {
    const bytes = extended.length === 1 ? (extended[0] as Uint8Array) : Buffer.concat(extended);
    extended = [];
    if (extendedType === "L") longName = cString(bytes, 0, bytes.length);
    else if (extendedType === "K") longLink = cString(bytes, 0, bytes.length);
    else for (const [key, value] of paxRecords(bytes)) (extendedType === "g" ? global : local).set(key, value);
    afterData();
  }

  return {
    push(chunk) {
      let at = 0;
      while (at < chunk.length) {
        switch (state) {
          case "done":
            return;
          case "header": {
            const take = Math.min(BLOCK - filled, chunk.length - at);
            header.set(chunk.subarray(at, at + take), filled);
            filled += take;
            at += take;
            if (filled === BLOCK) {
              filled = 0;
              readHeader();
            }
            break;
          }
          case "data": {
            const take = Math.min(remaining, chunk.length - at);
            handler.data(chunk.subarray(at, at + take));
            remaining -= take;
            at += take;
            if (remaining === 0) {
              handler.end();
              afterData();
            }
            break;
          }
          case "extended": {
            const take = Math.min(remaining, chunk.length - at);
            extended.push(chunk.slice(at, at + take));
            remaining -= take;
            at += take;
            if (remaining === 0) readExtended();
            break;
          }
          case "padding": {
            const take = Math.min(remaining, chunk.length - at);
            remaining -= take;
            at += take;
            if (remaining === 0) state = "header";
          }
        }
      }
    },
    finish() {
      const between = state === "done" || (state === "header" && filled === 0) || state === "padding";
      if (!between) throw new SlipwayError("TRUNCATED_ARCHIVE", "the tar archive ends in the middle of an entry");
    },
  };
}

function bad(what: string): SlipwayError {
  return new SlipwayError("BAD_ARCHIVE", `not a valid tar archive: ${what}`);
}

function checkSum(header: Uint8Array): void {
  const wanted = number(header, 148, 8);
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 32 : (header[i] as number);
  if (sum !== wanted) throw bad("a header's check sum is wrong");
}

/** Octal text, or base-256 where the first bit is set (GNU). */
function number(header: Uint8Array, start: number, length: number): number {
  const first = header[start] as number;
  if ((first & 0x80) !== 0) {
    let value = first & 0x40 ? -1 : first & 0x3f;
    for (let i = 1; i < length; i++) value = value * 256 + (header[start + i] as number);
    if (!Number.isSafeInteger(value)) throw bad("a number out of range");
    return value;
  }
  let value = 0;
  let seen = false;
  for (let i = start; i < start + length; i++) {
    const byte = header[i] as number;
    if (byte >= 48 && byte <= 55) {
      value = value * 8 + byte - 48;
      seen = true;
    } else if (byte === 0 || byte === 32) {
      if (seen) break;
    } else throw bad("a number that is none");
  }
  return value;
}

function cString(bytes: Uint8Array, start: number, length: number): string {
  const zero = bytes.indexOf(0, start);
  const end = zero < 0 || zero > start + length ? start + length : zero;
  return decodePath(bytes.subarray(start, end));
}

function* paxRecords(bytes: Uint8Array): Generator<[string, Uint8Array]> {
  let at = 0;
  while (at < bytes.length) {
    const space = bytes.indexOf(32, at);
    const length = space < 0 ? Number.NaN : Number(Buffer.from(bytes.subarray(at, space)).toString("latin1"));
    const equals = space < 0 ? -1 : bytes.indexOf(61, space);
    const end = at + length;
    if (!(length > 0) || end > bytes.length || bytes[end - 1] !== 10 || equals < 0 || equals >= end) {
      throw bad("a PAX record that is none");
    }
    yield [Buffer.from(bytes.subarray(space + 1, equals)).toString("utf8"), bytes.slice(equals + 1, end - 1)];
    at = end;
  }
}

type Pax = Map<string, Uint8Array>;

function paxText(local: Pax, global: Pax, key: string): string | undefined {
  const bytes = local.get(key) ?? global.get(key);
  // An empty value deletes what a global header said (POSIX.1-2001, pax).
  return bytes === undefined || bytes.length === 0 ? undefined : decodePath(bytes);
}

function paxNumber(local: Pax, global: Pax, key: string): number | undefined {
  const text = paxText(local, global, key);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw bad(`a PAX ${key} of ${JSON.stringify(text)}`);
  return value;
}

function sizeOf(header: Uint8Array, type: string, local: Pax, global: Pax): number {
  const size = ("xgLK".includes(type) ? undefined : paxNumber(local, global, "size")) ?? number(header, 124, 12);
  if (size < 0) throw bad("a negative size");
  return size;
}

function timeOf(text: string): Timespec {
  const match = /^(-?)(\d+)(?:\.(\d*))?$/.exec(text);
  if (match === null) throw bad(`a PAX time of ${JSON.stringify(text)}`);
  const [, sign, whole = "0", fraction = ""] = match;
  const nsec = Number(fraction.padEnd(9, "0").slice(0, 9));
  const sec = Number(whole);
  if (sign === "") return { sec, nsec };
  return nsec === 0 ? { sec: -sec, nsec } : { sec: -sec - 1, nsec: 1_000_000_000 - nsec };
}

const types: Record<string, TarEntryType> = {
  "0": "file",
  "\0": "file",
  "7": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "char",
  "4": "block",
  "5": "directory",
  "6": "fifo",
};

function entryOf(
  header: Uint8Array,
  typeflag: string,
  size: number,
  said: { longName: string | undefined; longLink: string | undefined; local: Pax; global: Pax },
): TarEntry {
  const { local, global } = said;
  const text = (key: string): string | undefined => paxText(local, global, key);
  let path = text("path") ?? said.longName;
  if (path === undefined) {
    path = cString(header, 0, 100);
    const ustar = cString(header, 257, 6) === "ustar";
    const prefix = ustar && header[263] !== 32 ? cString(header, 345, 155) : "";
    if (prefix !== "") path = `${prefix}/${path}`;
  }
  if (path === "" || path.includes("\0")) throw bad("an entry without a name");
  let type = types[typeflag];
  if (typeflag === "S" || [...local.keys()].some((key) => key.startsWith("GNU.sparse."))) {
    throw new SlipwayError(
      "UNSUPPORTED_ENTRY",
      `${JSON.stringify(path)} is stored as a sparse file, which is not supported`,
    );
  }
  if (type === undefined) {
    throw new SlipwayError(
      "UNSUPPORTED_ENTRY",
      `${JSON.stringify(path)} has the unknown tar type ${JSON.stringify(typeflag)}`,
    );
  }
  if (type === "file" && path.endsWith("/")) type = "directory"; // pre-POSIX archives
  const mtimeText = text("mtime");
  const xattrs: [string, Uint8Array][] = [];
  for (const pax of [global, local]) {
    for (const [key, value] of pax) {
      if (key.startsWith("SCHILY.xattr.")) xattrs.push([key.slice("SCHILY.xattr.".length), value]);
    }
  }
  return {
    path,
    type,
    mode: number(header, 100, 8) & 0o7777,
    uid: paxNumber(local, global, "uid") ?? number(header, 108, 8),
    gid: paxNumber(local, global, "gid") ?? number(header, 116, 8),
    size: type === "file" ? size : 0,
    mtime: mtimeText === undefined ? { sec: number(header, 136, 12), nsec: 0 } : timeOf(mtimeText),
    linkname: text("linkpath") ?? said.longLink ?? cString(header, 157, 100),
    major: number(header, 329, 8),
    minor: number(header, 337, 8),
    xattrs,
  };
}
