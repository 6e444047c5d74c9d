import { classHolds, type GlobToken } from "./globTokens.ts";

/** Follows all ways through the pattern at once, so that time is at most tokens times path. */
export function globMatches(tokens: GlobToken[], path: string): boolean {
  // reach[t] holds the places in the path where token t may begin.
  const reach = Array.from({ length: tokens.length + 1 }, () => new Uint8Array(path.length + 1));
  (reach[0] as Uint8Array)[0] = 1;
  for (const [index, token] of tokens.entries()) {
    const here = reach[index] as Uint8Array;
    const next = reach[index + 1] as Uint8Array;
    let running = false;
    for (let at = 0; at <= path.length; at++) {
      if (here[at] === 1) running = true;
      switch (token.kind) {
        case "rest":
          if (running) next[at] = 1;
          break;
        case "star":
          if (running) next[at] = 1;
          if (path[at] === "/") running = false;
          break;
        case "deep":
          if (here[at] === 1) next[at] = 1;
          if (running && path[at] === "/") next[at + 1] = 1;
          break;
        default: {
          const taken = here[at] === 1 ? lengthOf(token, path, at) : -1;
          if (taken >= 0) next[at + taken] = 1;
        }
      }
    }
  }
  return reach[tokens.length]?.[path.length] === 1;
}

/** How much of `name` the token takes at `at`; -1 where it does not match. For tokens of one length only. */
export function lengthOf(token: GlobToken, name: string, at: number): number {
  if (token.kind === "text") return name.startsWith(token.text, at) ? token.text.length : -1;
  const code = name.codePointAt(at);
  if (code === undefined) return -1;
  const holds = token.kind === "class" ? classHolds(token, code) : code !== 0x2f;
  return holds ? (code > 0xffff ? 2 : 1) : -1;
}
