import type { Dockerfile } from "./instruction.ts";
import { syntaxError } from "./syntaxError.ts";

const FORM = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/;
const KNOWN = ["syntax", "escape", "check"];

/**
 * Parser directives: comments `# key=value` at the very top; the first line that is none ends them. A key may come once.
 * @throws SlipwayError `DOCKERFILE_SYNTAX`
 */
export function parseDirectives(file: string, text: string, lines: readonly string[]): Dockerfile["directives"] {
  const directives: Dockerfile["directives"] = { escape: "\\" };
  const seen = new Set<string>();
  for (const [i, line] of lines.entries()) {
    // A script's first line may name its interpreter.
    if (i === 0 && line.startsWith("#!")) continue;
    const match = FORM.exec(line);
    const key = match?.[1]?.toLowerCase();
    const value = match?.[2];
    if (key === undefined || value === undefined || !KNOWN.includes(key)) break;
    const range = { file, start: i + 1, end: i + 1, text };
    if (seen.has(key)) throw syntaxError(`only one ${key} parser directive can be used`, range);
    seen.add(key);
    if (key === "escape") {
      if (value !== "\\" && value !== "`") {
        throw syntaxError(`invalid escape token '${value}' does not match ${"`"} or \\`, range);
      }
      directives.escape = value;
    } else if (key === "syntax") directives.syntax = value;
    else directives.check = value;
  }
  return directives;
}
