import { SlipwayError } from "../../oci/SlipwayError.ts";

/** ctrl-p ctrl-q, Docker's. */
export const DEFAULT_DETACH_KEYS = "ctrl-p,ctrl-q";

/**
 * Docker's `--detach-keys`: keys with commas between, each a character or `ctrl-` and one of a-z, @, [, \, ], ^ and _. "" is no keys.
 * @throws SlipwayError `INVALID_OPTION`
 */
export function parseDetachKeys(text: string): number[] {
  if (text === "") return [];
  return text.split(",").map((key) => {
    const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1];
    if (control !== undefined) return control.toUpperCase().charCodeAt(0) & 0x1f;
    if (key.length === 1 && key.charCodeAt(0) < 128) return key.charCodeAt(0);
    if (key === "DEL") return 127;
    throw new SlipwayError("INVALID_OPTION", `invalid detach keys (${text}): unknown character: '${key}'`, {
      hint: "For example ctrl-p,ctrl-q or ctrl-@.",
      exitCode: 125,
    });
  });
}

/**
 * Watches what is typed for the keys that detach. `pass` gets everything else at once; the first keys are held back until it is known whether
 * the rest follows. Returns true when the keys came.
 */
export function createDetachWatcher(
  pass: (bytes: Uint8Array) => void,
  keys: readonly number[] = parseDetachKeys(DEFAULT_DETACH_KEYS),
): (bytes: Uint8Array) => boolean {
  let matched = 0;
  return (bytes) => {
    const out: number[] = [];
    for (const byte of bytes) {
      // Held keys that turn out to be no beginning are passed on, up to where one may begin again.
      while (matched > 0 && byte !== keys[matched]) {
        const held = keys.slice(0, matched);
        let dropped = 1;
        while (!held.slice(dropped).every((each, at) => each === keys[at])) dropped++;
        out.push(...held.slice(0, dropped));
        matched -= dropped;
      }
      if (keys.length > 0 && byte === keys[matched]) {
        matched++;
        if (matched < keys.length) continue;
        if (out.length > 0) pass(Uint8Array.from(out));
        return true;
      }
      out.push(byte);
    }
    if (out.length > 0) pass(Uint8Array.from(out));
    return false;
  };
}
