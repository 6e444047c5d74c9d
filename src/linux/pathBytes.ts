/**
 * Paths are bytes to the kernel and strings to us. Valid UTF-8 maps to itself; every other byte maps to a lone
 * surrogate U+DC80..U+DCFF and back, so that any file name survives a round trip.
 */

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();
/** More of them overflow the stack. */
const MAX_ARGUMENTS = 8192;
const escaped = /[\udc80-\udcff]/;

/** Decodes a file name; never fails, loses nothing. */
export function decodePath(bytes: Uint8Array): string {
  let plain = true;
  for (let i = 0; i < bytes.length; i++) {
    if ((bytes[i] as number) > 0x7f) {
      plain = false;
      break;
    }
  }
  if (plain && bytes.length <= MAX_ARGUMENTS) return String.fromCharCode.apply(null, bytes as unknown as number[]);
  try {
    return decoder.decode(bytes);
  } catch {
    return decodeWithEscapes(bytes);
  }
}

/** The bytes of a path that {@link decodePath} made. */
export function encodePath(path: string): Uint8Array {
  if (!escaped.test(path)) return encoder.encode(path);
  const out: number[] = [];
  for (const char of path) {
    const code = char.codePointAt(0) as number;
    if (code >= 0xdc80 && code <= 0xdcff) out.push(code - 0xdc00);
    else for (const byte of encoder.encode(char)) out.push(byte);
  }
  return Uint8Array.from(out);
}

/** Writes the bytes of `path` and a closing NUL at the start of `into`; returns the length without the NUL, or -1 where it does not fit. */
export function encodePathInto(path: string, into: Uint8Array): number {
  const { length } = path;
  if (length >= into.length) return -1;
  let plain = 0;
  for (; plain < length; plain++) {
    const code = path.charCodeAt(plain);
    if (code > 0x7f) break;
    into[plain] = code;
  }
  if (plain === length) {
    into[length] = 0;
    return length;
  }
  if (!escaped.test(path)) {
    const { read, written } = encoder.encodeInto(path, into);
    if (read < path.length || written >= into.length) return -1;
    into[written] = 0;
    return written;
  }
  const bytes = encodePath(path);
  if (bytes.length >= into.length) return -1;
  into.set(bytes);
  into[bytes.length] = 0;
  return bytes.length;
}

function decodeWithEscapes(bytes: Uint8Array): string {
  let out = "";
  let at = 0;
  while (at < bytes.length) {
    const length = sequenceLength(bytes, at);
    if (length === 0) {
      out += String.fromCharCode(0xdc00 + (bytes[at] as number));
      at += 1;
      continue;
    }
    out += decoder.decode(bytes.subarray(at, at + length));
    at += length;
  }
  return out;
}

/** Length of the valid UTF-8 sequence at `at`, 0 where there is none. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  for (let length = 1; length <= 4 && at + length <= bytes.length; length++) {
    try {
      decoder.decode(bytes.subarray(at, at + length));
      return length;
    } catch {
      // not a whole sequence yet
    }
  }
  return 0;
}
