import { SlipwayError } from "../oci/SlipwayError.ts";

/** The permission bits (07777) that a file gets; `mode` is what it has. */
export type ModeChange = (mode: number, directory: boolean) => number;

/** Bits of the classes u, g, o and of all: with set-uid and set-gid, as chmod(1) counts them. */
const classes: Readonly<Record<string, number>> = { u: 0o4700, g: 0o2070, o: 0o0007, a: 0o6777 };

/**
 * Reads `--chmod`: octal up to 07777, or symbolic (`u=rwX,go=rX`, POSIX chmod) with no umask in the way.
 * @throws SlipwayError `INVALID_CHMOD`
 */
export function parseChmod(text: string): ModeChange {
  if (/^[0-9]+$/.test(text)) {
    const mode = /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
    if (!(mode <= 0o7777)) throw invalid(text);
    return () => mode;
  }
  const changes = text.split(",").flatMap((clause) => readClause(clause, text));
  return (mode, directory) => changes.reduce((now, change) => change(now, mode, directory), mode & 0o7777);
}

/** `original` is the mode before all clauses: that is what X looks at. */
type Change = (now: number, original: number, directory: boolean) => number;

function readClause(clause: string, whole: string): Change[] {
  const match = /^([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)$/.exec(clause);
  if (match === null) throw invalid(whole);
  const [, who = "", actions = ""] = match;
  const letters = who === "" ? ["a"] : [...who];
  const affected = letters.reduce((bits, letter) => bits | (classes[letter] ?? 0), 0);
  // The sticky bit belongs to no class but `t` without u or g sets it.
  const sticky = letters.some((letter) => letter === "a" || letter === "o") ? 0o1000 : 0;
  return [...actions.matchAll(/([-+=])([rwxXst]*[ugo]?)/g)].map(([, operator, permissions = ""]): Change => {
    return (now, original, directory) => {
      const bits = bitsOf(permissions, now, original, directory) & (affected | sticky);
      if (operator === "+") return now | bits;
      if (operator === "-") return now & ~bits;
      return (now & ~affected) | bits;
    };
  });
}

/** The permissions for every class at once; the caller picks those of the classes meant. */
function bitsOf(permissions: string, now: number, original: number, directory: boolean): number {
  let bits = 0;
  for (const letter of permissions) {
    if (letter === "r") bits |= 0o444;
    else if (letter === "w") bits |= 0o222;
    else if (letter === "x") bits |= 0o111;
    else if (letter === "X") bits |= directory || (original & 0o111) !== 0 ? 0o111 : 0;
    else if (letter === "s") bits |= 0o6000;
    else if (letter === "t") bits |= 0o1000;
    else bits |= ((now >> (letter === "u" ? 6 : letter === "g" ? 3 : 0)) & 7) * 0o111;
  }
  return bits;
}

function invalid(text: string): SlipwayError {
  return new SlipwayError(
    "INVALID_CHMOD",
    `invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777`,
    { hint: "Or symbolic, as chmod has it: u=rwX,go=rX" },
  );
}
