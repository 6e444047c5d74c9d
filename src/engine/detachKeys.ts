/** ctrl-p ctrl-q, Docker's. */
const KEYS = [0x10, 0x11];

/**
 * Watches what is typed for the keys that detach. `pass` gets everything else at once; a first key is held back until it is known whether
 * the second follows. Returns true when the keys came.
 */
export function createDetachWatcher(pass: (bytes: Uint8Array) => void): (bytes: Uint8Array) => boolean {
  let matched = 0;
  return (bytes) => {
    const out: number[] = [];
    for (const byte of bytes) {
      if (byte === KEYS[matched]) {
        matched++;
        if (matched === KEYS.length) {
          if (out.length > 0) pass(Uint8Array.from(out));
          return true;
        }
        continue;
      }
      out.push(...KEYS.slice(0, matched));
      matched = byte === KEYS[0] ? 1 : 0;
      if (matched === 0) out.push(byte);
    }
    if (out.length > 0) pass(Uint8Array.from(out));
    return false;
  };
}
