import type { Timespec } from "../linux/Linux.ts";
import { decodePath } from "../linux/pathBytes.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { type Pax, paxNumber, paxRecords, paxText, timeOf, xattrName } from "./paxRecords.ts";
import { expandSparse, oldGnuMap, oldGnuSize, paxDataMap, paxTextMap, type SparseMap } from "./sparseMap.ts";
import { bad, tarNumber } from "./tarNumber.ts";

export type TarEntryType = "file" | "directory" | "symlink" | "hardlink" | "char" | "block" | "fifo";

export interface TarEntry {
  /** As written, PAX and GNU long names applied. */
  path: string;
  type: TarEntryType;
  /** Permission bits with setuid, setgid and sticky. */
  mode: number;
  uid: number;
  gid: number;
  /** Bytes that the file has; 0 for all but files. */
  size: number;
  /** Some of them may be told as holes. */
  sparse?: boolean;
  mtime: Timespec;
  linkname: string;
  major: number;
  minor: number;
  xattrs: [name: string, value: Uint8Array][];
}

/** Hears the entries of an archive in order: `entry`, then `data` and `hole` until `size` bytes were given, then `end`. */
export interface TarHandler {
  entry(entry: TarEntry): void;
  data(chunk: Uint8Array): void;
  /** Zeros that are not stored; of sparse files only. */
  hole(length: number): void;
  end(): void;
}

export interface TarReader {
  /** Takes the next bytes, in pieces of any size. `chunk` is not kept. */
  push(chunk: Uint8Array): void;
  /** @throws SlipwayError `TRUNCATED_ARCHIVE` when the last entry is not whole */
  finish(): void;
}

const BLOCK = 512;
/** Come in turns in a sparse map of version 0.0, many times each. */
const PAIR_KEYS = ["GNU.sparse.offset", "GNU.sparse.numbytes"];
/** PAX headers and long names are held in memory: far more than any real one. */
const MAX_EXTENDED = 8 * 1024 * 1024;

/**
 * Reads ustar, PAX (local and global headers, SCHILY.xattr, sub-second times) and GNU archives (long names, base-256 numbers), and the sparse
 * files of both.
 * Memory does not grow with the archive. @throws SlipwayError `BAD_ARCHIVE`, `UNSUPPORTED_ENTRY`
 */
export function createTarReader(handler: TarHandler): TarReader {
  const header = new Uint8Array(BLOCK);
  let filled = 0;
  let state: "header" | "map" | "data" | "extended" | "padding" | "done" = "header";
  let remaining = 0;
  let padding = 0;
  let extended: Uint8Array[] = [];
  let extendedType = "";
  let longName: string | undefined;
  let longLink: string | undefined;
  let local: Map<string, Uint8Array> = new Map();
  const global: Map<string, Uint8Array> = new Map();
  /** Of the entry that is read: the file, its map where it has one, and who hears its bytes. */
  let entry: TarEntry | undefined;
  let map: SparseMap | undefined;
  let sink: Pick<TarHandler, "data" | "end"> = handler;

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
    map = sparseMapOf(header, type, local);
    entry = entryOf(header, type, size, { longName, longLink, local, global, sparse: map !== undefined });
    longName = longLink = undefined;
    local = new Map();
    remaining = size;
    if (entry.type !== "file") remaining = padding = 0;
    if (map?.more) state = "map";
    else begin();
  }

  function readMap(): void {
    if (map === undefined) throw new Error("no map is read");
    if (map.inData) remaining -= BLOCK;
    if (remaining < 0) throw bad("a sparse map that goes past its data");
    map.block(header);
    if (!map.more) begin();
  }

  function begin(): void {
    if (entry === undefined) throw new Error("no entry is read");
    sink = map === undefined ? handler : expandSparse(handler, map.ranges, { stored: remaining, size: entry.size });
    handler.entry(entry);
    if (remaining > 0) {
      state = "data";
      return;
    }
    sink.end();
    afterData();
  }

  function readExtended(): void {
    const bytes = extended.length === 1 ? (extended[0] as Uint8Array) : Buffer.concat(extended);
    extended = [];
    if (extendedType === "L") longName = cString(bytes, 0, bytes.length);
    else if (extendedType === "K") longLink = cString(bytes, 0, bytes.length);
    else {
      const records = extendedType === "g" ? global : local;
      const pairs: string[] = [];
      for (const [key, value] of paxRecords(bytes)) {
        if (key === PAIR_KEYS[pairs.length % 2]) pairs.push(Buffer.from(value).toString("latin1"));
        else if (PAIR_KEYS.includes(key)) throw bad("a sparse map with half a pair");
        else records.set(key, value);
      }
      if (pairs.length > 0) records.set("GNU.sparse.map", Buffer.from(pairs.join(",")));
    }
    afterData();
  }

  return {
    push(chunk) {
      let at = 0;
      while (at < chunk.length) {
        switch (state) {
          case "done":
            return;
          case "header":
          case "map": {
            const take = Math.min(BLOCK - filled, chunk.length - at);
            header.set(chunk.subarray(at, at + take), filled);
            filled += take;
            at += take;
            if (filled === BLOCK) {
              filled = 0;
              if (state === "header") readHeader();
              else readMap();
            }
            break;
          }
          case "data": {
            const take = Math.min(remaining, chunk.length - at);
            sink.data(chunk.subarray(at, at + take));
            remaining -= take;
            at += take;
            if (remaining === 0) {
              sink.end();
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
      const announced = longName !== undefined || longLink !== undefined || local.size > 0;
      if (!between || announced)
        throw new SlipwayError("TRUNCATED_ARCHIVE", "the tar archive ends in the middle of an entry");
    },
  };
}

function checkSum(header: Uint8Array): void {
  const wanted = tarNumber(header, 148, 8);
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 32 : (header[i] as number);
  if (sum !== wanted) throw bad("a header's check sum is wrong");
}

function cString(bytes: Uint8Array, start: number, length: number): string {
  const zero = bytes.indexOf(0, start);
  const end = zero < 0 || zero > start + length ? start + length : zero;
  return decodePath(bytes.subarray(start, end));
}

function sizeOf(header: Uint8Array, type: string, local: Pax, global: Pax): number {
  const size = ("xgLK".includes(type) ? undefined : paxNumber(local, global, "size")) ?? tarNumber(header, 124, 12);
  if (size < 0) throw bad("a negative size");
  return size;
}

/** Undefined for what is no sparse file. */
function sparseMapOf(header: Uint8Array, type: string, local: Pax): SparseMap | undefined {
  if (type === "S") {
    // Other tars have other maps in files of this type.
    if (cString(header, 257, 8) !== "ustar  ") {
      throw new SlipwayError(
        "UNSUPPORTED_ENTRY",
        `${JSON.stringify(cString(header, 0, 100))} is a sparse file, but not of GNU tar`,
      );
    }
    return oldGnuMap(header);
  }
  const text = (key: string): string | undefined => {
    const bytes = local.get(`GNU.sparse.${key}`);
    return bytes === undefined ? undefined : Buffer.from(bytes).toString("latin1");
  };
  const version = text("major") === undefined ? "0" : `${text("major")}.${text("minor")}`;
  const map = text("map");
  if (version === "1.0") return paxDataMap();
  if (version !== "0" && version !== "0.0" && version !== "0.1") {
    throw new SlipwayError("UNSUPPORTED_ENTRY", `sparse files of version ${version} are not known`);
  }
  return map === undefined && text("size") === undefined ? undefined : paxTextMap(map ?? "");
}

function sparseSize(header: Uint8Array, type: string, local: Pax): number {
  const none: Pax = new Map();
  const size =
    type === "S"
      ? oldGnuSize(header)
      : (paxNumber(local, none, "GNU.sparse.realsize") ?? paxNumber(local, none, "GNU.sparse.size"));
  if (size === undefined || size < 0) throw bad("a sparse file without a size");
  return size;
}

const types: Record<string, TarEntryType> = {
  "0": "file",
  "\0": "file",
  "7": "file",
  S: "file",
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
  said: { longName: string | undefined; longLink: string | undefined; local: Pax; global: Pax; sparse: boolean },
): TarEntry {
  const { local, global, sparse } = said;
  const text = (key: string): string | undefined => paxText(local, global, key);
  let path = text("GNU.sparse.name") ?? text("path") ?? said.longName;
  if (path === undefined) {
    path = cString(header, 0, 100);
    const ustar = cString(header, 257, 6) === "ustar";
    const prefix = ustar && header[263] !== 32 ? cString(header, 345, 155) : "";
    if (prefix !== "") path = `${prefix}/${path}`;
  }
  if (path === "" || path.includes("\0")) throw bad("an entry without a name");
  let type = types[typeflag];
  if (type === undefined) {
    throw new SlipwayError(
      "UNSUPPORTED_ENTRY",
      `${JSON.stringify(path)} has the unknown tar type ${JSON.stringify(typeflag)}`,
    );
  }
  if (sparse) {
    if (type !== "file") throw bad(`${JSON.stringify(path)} is a sparse file that is none`);
  } else if (type === "file" && path.endsWith("/")) type = "directory"; // pre-POSIX archives
  const mtimeText = text("mtime");
  const xattrs: [string, Uint8Array][] = [];
  for (const pax of [global, local]) {
    for (const [key, value] of pax) {
      const name = xattrName(key);
      if (name !== undefined) xattrs.push([name, value]);
    }
  }
  return {
    path,
    type,
    mode: tarNumber(header, 100, 8) & 0o7777,
    uid: paxNumber(local, global, "uid") ?? tarNumber(header, 108, 8),
    gid: paxNumber(local, global, "gid") ?? tarNumber(header, 116, 8),
    size: type === "file" ? (sparse ? sparseSize(header, typeflag, local) : size) : 0,
    ...(sparse ? { sparse } : {}),
    mtime: mtimeText === undefined ? { sec: tarNumber(header, 136, 12), nsec: 0 } : timeOf(mtimeText),
    linkname: text("linkpath") ?? said.longLink ?? cString(header, 157, 100),
    major: tarNumber(header, 329, 8),
    minor: tarNumber(header, 337, 8),
    xattrs,
  };
}
