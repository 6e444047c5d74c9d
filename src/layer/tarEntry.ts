import { SlipwayError } from "../oci/SlipwayError.ts";
import { decodeName, type Pax, paxNumber, paxText, timeOf, xattrName } from "./paxRecords.ts";
import { oldGnuMap, oldGnuSize, paxDataMap, paxTextMap, type SparseMap } from "./sparseMap.ts";
import { bad, tarNumber } from "./tarNumber.ts";
import type { TarEntry, TarEntryType } from "./tarReader.ts";

const BLOCK = 512;

/** A header block is what it says that it is. @throws SlipwayError `BAD_ARCHIVE` */
export function checkSum(header: Uint8Array): void {
  const wanted = tarNumber(header, 148, 8);
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 32 : (header[i] as number);
  if (sum !== wanted) throw bad("a header's check sum is wrong");
}

/** Text up to a zero byte. */
export function cString(bytes: Uint8Array, start: number, length: number): string {
  const zero = bytes.indexOf(0, start);
  const end = zero < 0 || zero > start + length ? start + length : zero;
  return decodeName(bytes.subarray(start, end));
}

/** Bytes that follow the header. */
export function sizeOf(header: Uint8Array, type: string, local: Pax, global: Pax): number {
  const size = ("xgLK".includes(type) ? undefined : paxNumber(local, global, "size")) ?? tarNumber(header, 124, 12);
  if (size < 0) throw bad("a negative size");
  return size;
}

/** Undefined for what is no sparse file. */
export function sparseMapOf(header: Uint8Array, type: string, local: Pax): SparseMap | undefined {
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

/** The entry that a header and what was said before it make. @throws SlipwayError `BAD_ARCHIVE`, `UNSUPPORTED_ENTRY` */
export function entryOf(
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
