import type { Timespec } from "../linux/Linux.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { type Pax, paxRecords } from "./paxRecords.ts";
import { expandSparse, type SparseMap } from "./sparseMap.ts";
import { checkSum, cString, entryOf, sizeOf, sparseMapOf } from "./tarEntry.ts";
import { bad } from "./tarNumber.ts";

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
  let local: Pax = new Map();
  const global: Pax = new Map();
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
