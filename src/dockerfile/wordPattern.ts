import { SlipwayError } from "../oci/SlipwayError.ts";

/** The pattern of `${v#p}`, `${v%p}` and `${v/p/r}`: what stands between the `*`, each a run of characters or `?`. */
type Segment = (string | typeof any)[];

const any = Symbol("?");

/** Longest text that a word expands to. BuildKit sends a build's whole definition in a message of at most 16 MiB. */
export const MAX_EXPANDED = 16 * 1024 * 1024;

/** @throws SlipwayError `INVALID_WORD` above `MAX_EXPANDED` */
export function checkLength(length: number): void {
  if (length > MAX_EXPANDED)
    throw new SlipwayError("INVALID_WORD", `it expands to more than ${MAX_EXPANDED} characters`);
}

/** `${value#pattern}`, with `longest` `##`. @throws SlipwayError `INVALID_WORD` */
export function trimPrefix(value: string, pattern: string, longest: boolean): string {
  const characters = [...value];
  const end = prefixEnd(characters, parsePattern(pattern), longest);
  return end === undefined ? value : characters.slice(end).join("");
}

/** `${value%pattern}`, with `longest` `%%`: the prefix rule read backwards. @throws SlipwayError `INVALID_WORD` */
export function trimSuffix(value: string, pattern: string, longest: boolean): string {
  const characters = [...value].reverse();
  const segments = parsePattern(pattern)
    .reverse()
    .map((segment) => segment.toReversed());
  const end = prefixEnd(characters, segments, longest);
  return end === undefined ? value : characters.slice(end).reverse().join("");
}

/** `${value/pattern/replacement}`, with `all` `//`. Each match begins as early and ends as late as it can. @throws SlipwayError `INVALID_WORD` */
export function replacePattern(value: string, pattern: string, replacement: string, all: boolean): string {
  const characters = [...value];
  const segments = parsePattern(pattern);
  const [first = []] = segments;
  let result = "";
  let from = 0;
  while (from <= characters.length) {
    const start = find(characters, first, from);
    const end = start === undefined ? undefined : matchEnd(characters, segments, start, true);
    if (start === undefined || end === undefined) break;
    result += characters.slice(from, start).join("") + replacement;
    checkLength(result.length);
    from = end;
    if (end === start) {
      // An empty match stands before every character; the character itself is kept.
      if (start < characters.length) result += characters[start];
      from = start + 1;
    }
    if (!all || (end > start && from === characters.length)) break;
  }
  return result + characters.slice(from).join("");
}

function prefixEnd(characters: string[], segments: Segment[], longest: boolean): number | undefined {
  const [first = []] = segments;
  return matchesAt(characters, first, 0) ? matchEnd(characters, segments, 0, longest) : undefined;
}

/**
 * Where the match of all segments ends whose first stands at `start`. Taking each later segment at its first place leaves the most room,
 * so only the last one has to be looked for from the end.
 */
function matchEnd(characters: string[], segments: Segment[], start: number, longest: boolean): number | undefined {
  let at = start + (segments[0]?.length ?? 0);
  for (let i = 1; i < segments.length; i++) {
    const segment = segments[i] as Segment;
    const place =
      longest && i === segments.length - 1 ? findLast(characters, segment, at) : find(characters, segment, at);
    if (place === undefined) return undefined;
    at = place + segment.length;
  }
  return at;
}

function find(characters: string[], segment: Segment, from: number): number | undefined {
  for (let at = from; at + segment.length <= characters.length; at++) if (matchesAt(characters, segment, at)) return at;
  return undefined;
}

function findLast(characters: string[], segment: Segment, from: number): number | undefined {
  for (let at = characters.length - segment.length; at >= from; at--) if (matchesAt(characters, segment, at)) return at;
  return undefined;
}

function matchesAt(characters: string[], segment: Segment, at: number): boolean {
  if (at + segment.length > characters.length) return false;
  for (let i = 0; i < segment.length; i++) if (segment[i] !== any && segment[i] !== characters[at + i]) return false;
  return true;
}

function parsePattern(pattern: string): Segment[] {
  let segment: Segment = [];
  const segments = [segment];
  const characters = [...pattern];
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i] as string;
    if (character === "*") {
      segment = [];
      segments.push(segment);
    } else if (character === "?") segment.push(any);
    else if (character === "\\") {
      const escaped = characters[++i];
      // `}` and `/` would end the pattern, so a backslash keeps them in it.
      if (escaped === undefined || !"}/*?\\".includes(escaped))
        throw new SlipwayError(
          "INVALID_WORD",
          `invalid pattern (${pattern}) in substitution: invalid escape '\\${escaped ?? ""}'`,
        );
      segment.push(escaped);
    } else segment.push(character);
  }
  return segments;
}
