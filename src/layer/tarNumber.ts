import { SlipwayError } from "../oci/SlipwayError.ts";

/** A number of a header's field: octal text, or base-256 where the first bit is set (GNU). @throws SlipwayError `BAD_ARCHIVE` */
export function tarNumber(header: Uint8Array, start: number, length: number): number {
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

export function bad(what: string): SlipwayError {
  return new SlipwayError("BAD_ARCHIVE", `not a valid tar archive: ${what}`);
}
