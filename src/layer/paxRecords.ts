import type { Timespec } from "../linux/Linux.ts";
import { decodePath } from "../linux/pathBytes.ts";
import { bad } from "./tarNumber.ts";

const MAX_NAME = 64 * 1024;
const XATTR = "SCHILY.xattr.";

/** The record of an extended attribute. A key ends at the first `=`: one in the name is written as GNU tar does, and so is `%`. */
export function xattrKey(name: string): string {
  return XATTR + name.replaceAll("%", "%25").replaceAll("=", "%3D");
}

/** The attribute that a record is of; undefined for other records. */
export function xattrName(key: string): string | undefined {
  if (!key.startsWith(XATTR)) return undefined;
  return key.slice(XATTR.length).replaceAll("%3D", "=").replaceAll("%25", "%");
}

/** What PAX headers say (POSIX.1-2001, pax), by key. */
export function* paxRecords(bytes: Uint8Array): Generator<[string, Uint8Array]> {
  let at = 0;
  while (at < bytes.length) {
    const space = bytes.indexOf(32, at);
    const length = space < 0 ? Number.NaN : Number(Buffer.from(bytes.subarray(at, space)).toString("latin1"));
    const equals = space < 0 ? -1 : bytes.indexOf(61, space);
    const end = at + length;
    if (!(length > 0) || end > bytes.length || bytes[end - 1] !== 10 || equals < 0 || equals >= end) {
      throw bad("a PAX record that is none");
    }
    yield [decodeName(bytes.subarray(space + 1, equals)), bytes.slice(equals + 1, end - 1)];
    at = end;
  }
}

export type Pax = Map<string, Uint8Array>;

export function paxText(local: Pax, global: Pax, key: string): string | undefined {
  const bytes = local.get(key) ?? global.get(key);
  // An empty value deletes what a global header said (POSIX.1-2001, pax).
  return bytes === undefined || bytes.length === 0 ? undefined : decodeName(bytes);
}

/** Text of an archive. What is no UTF-8 is slow to decode: none may be longer than any name by far. @throws SlipwayError `BAD_ARCHIVE` */
export function decodeName(bytes: Uint8Array): string {
  if (bytes.length > MAX_NAME) {
    throw bad(
      `a name of ${bytes.length} bytes, which begins with ${JSON.stringify(decodePath(bytes.subarray(0, 100)))}`,
    );
  }
  return decodePath(bytes);
}

export function paxNumber(local: Pax, global: Pax, key: string): number | undefined {
  const text = paxText(local, global, key);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw bad(`a PAX ${key} of ${JSON.stringify(text)}`);
  return value;
}

export function timeOf(text: string): Timespec {
  const match = /^(-?)(\d+)(?:\.(\d*))?$/.exec(text);
  if (match === null) throw bad(`a PAX time of ${JSON.stringify(text)}`);
  const [, sign, whole = "0", fraction = ""] = match;
  const nsec = Number(fraction.padEnd(9, "0").slice(0, 9));
  const sec = Number(whole);
  if (!Number.isSafeInteger(sec)) throw bad(`a PAX time of ${JSON.stringify(text)}`);
  if (sign === "") return { sec, nsec };
  return nsec === 0 ? { sec: -sec, nsec } : { sec: -sec - 1, nsec: 1_000_000_000 - nsec };
}
