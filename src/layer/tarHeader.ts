import { encodePath } from "../linux/pathBytes.ts";
import { xattrKey } from "./paxRecords.ts";
import type { TarEntry } from "./tarReader.ts";

const BLOCK = 512;
const TYPES: Record<TarEntry["type"], string> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  char: "3",
  block: "4",
  directory: "5",
  fifo: "6",
};
const MAX_ID = 0o7777777;
const MAX_SIZE = 0o77777777777;

/**
 * The header blocks of one entry: ustar, with a PAX header before it for what ustar cannot say. The same entry always gives the same
 * bytes: no user names, whole seconds.
 */
export function tarHeader(entry: TarEntry): Uint8Array {
  const name = encodePath(entry.type === "directory" && !entry.path.endsWith("/") ? `${entry.path}/` : entry.path);
  const link = encodePath(entry.linkname);
  const records: Uint8Array[] = [];
  const ascii = (bytes: Uint8Array): boolean => bytes.every((byte) => byte < 0x80);
  if (name.length > 100 || !ascii(name)) records.push(record("path", name));
  if (link.length > 100 || !ascii(link)) records.push(record("linkpath", link));
  if (entry.size > MAX_SIZE) records.push(record("size", encodePath(String(entry.size))));
  if (entry.uid > MAX_ID) records.push(record("uid", encodePath(String(entry.uid))));
  if (entry.gid > MAX_ID) records.push(record("gid", encodePath(String(entry.gid))));
  if (entry.mtime.sec < 0 || entry.mtime.sec > MAX_SIZE)
    records.push(record("mtime", encodePath(String(entry.mtime.sec))));
  for (const [key, value] of entry.xattrs) records.push(record(xattrKey(key), value));

  const main = ustar(name, link, entry);
  if (records.length === 0) return main;
  const body = Buffer.concat(records);
  const padded = new Uint8Array(Math.ceil(body.length / BLOCK) * BLOCK);
  padded.set(body);
  const extended = ustar(encodePath("PaxHeaders/entry"), new Uint8Array(0), {
    ...entry,
    type: "file",
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: body.length,
    mtime: { sec: 0, nsec: 0 },
    major: 0,
    minor: 0,
  });
  extended[156] = "x".charCodeAt(0);
  writeCheckSum(extended);
  return Buffer.concat([extended, padded, main]);
}

/**
 * The one block that stands before a file of any size, so that it can be written after the file. A size that octal digits cannot say is a
 * binary number (GNU's form, which every reader knows). `path`: at most 100 bytes of ASCII.
 */
export function fileBlock(path: string, size: number): Uint8Array {
  const block = ustar(encodePath(path), new Uint8Array(0), {
    path,
    type: "file",
    mode: 0o644,
    uid: 0,
    gid: 0,
    size,
    mtime: { sec: 0, nsec: 0 },
    linkname: "",
    major: 0,
    minor: 0,
    xattrs: [],
  });
  if (size > MAX_SIZE) {
    block.fill(0, 124, 136);
    block[124] = 0x80;
    new DataView(block.buffer, block.byteOffset).setBigUint64(128, BigInt(size));
    writeCheckSum(block);
  }
  return block;
}

/**
 * Writes the header of an entry at `at`, one block, where one is enough: false for a link, and for what needs a PAX header, as a name that is long or no
 * ASCII does.
 */
export function putTarHeader(into: Uint8Array, at: number, entry: TarEntry): boolean {
  const { path, size, uid, gid, mtime } = entry;
  const slash = entry.type === "directory" && !path.endsWith("/");
  const length = path.length;
  if (length + (slash ? 1 : 0) > 100 || entry.linkname !== "" || entry.xattrs.length > 0) return false;
  if (size > MAX_SIZE || uid > MAX_ID || gid > MAX_ID || mtime.sec < 0 || mtime.sec > MAX_SIZE) return false;
  for (let i = 0; i < length; i++) {
    const code = path.charCodeAt(i);
    if (code > 0x7f) return false;
    into[at + i] = code;
  }
  into.fill(0, at + length, at + BLOCK);
  if (slash) into[at + length] = SLASH;
  putFields(into, at, entry);
  return true;
}

/** Takes the time out of the header at `at`, and its check sum. */
export function clearTime(header: Uint8Array, at: number): void {
  header.fill(0, at + 136, at + 156);
}

const SLASH = 0x2f;
const USTAR = [0x75, 0x73, 0x74, 0x61, 0x72, 0, 0x30, 0x30]; // "ustar\0" "00"

function ustar(name: Uint8Array, link: Uint8Array, entry: TarEntry): Uint8Array {
  const header = new Uint8Array(BLOCK);
  header.set(name.subarray(0, 100), 0);
  header.set(link.subarray(0, 100), 157);
  putFields(header, 0, entry);
  return header;
}

/** All but the names, in a block that is zero there. */
function putFields(into: Uint8Array, at: number, entry: TarEntry): void {
  octal(into, at + 100, 8, entry.mode & 0o7777);
  octal(into, at + 108, 8, Math.min(entry.uid, MAX_ID));
  octal(into, at + 116, 8, Math.min(entry.gid, MAX_ID));
  octal(into, at + 124, 12, Math.min(entry.size, MAX_SIZE));
  octal(into, at + 136, 12, Math.min(Math.max(entry.mtime.sec, 0), MAX_SIZE));
  into[at + 156] = (TYPES[entry.type] as string).charCodeAt(0);
  for (let i = 0; i < USTAR.length; i++) into[at + 257 + i] = USTAR[i] as number;
  if (entry.type === "char" || entry.type === "block") {
    octal(into, at + 329, 8, entry.major);
    octal(into, at + 337, 8, entry.minor);
  }
  writeCheckSum(into, at);
}

function writeCheckSum(header: Uint8Array, at = 0): void {
  header.fill(32, at + 148, at + 156);
  let sum = 0;
  for (let i = at; i < at + BLOCK; i++) sum += header[i] as number;
  octal(header, at + 148, 7, sum);
  header[at + 155] = 32;
}

function octal(header: Uint8Array, at: number, length: number, value: number): void {
  let rest = value;
  header[at + length - 1] = 0;
  for (let i = length - 2; i >= 0; i--) {
    header[at + i] = 48 + (rest % 8);
    rest = Math.floor(rest / 8);
  }
}

/** `<length> <key>=<value>\n`, the length counting itself (POSIX.1-2001, pax). */
function record(key: string, value: Uint8Array): Uint8Array {
  const rest = Buffer.concat([encodePath(` ${key}=`), value, Buffer.from("\n")]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}
