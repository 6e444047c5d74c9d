import { trimSpaceStart } from "./space.ts";

export interface Directive {
  name: string;
  value: string;
  line: number;
}

export interface FoundDirective {
  /** The first word of the value. */
  value: string;
  /** The whole value. */
  commandLine: string;
  line: number;
}

const known: ReadonlySet<string> = new Set(["syntax", "escape", "check"]);

/** One line at the head of the file as a directive; undefined when it is none, and then no line after it can be one. */
export function readDirective(line: string, prefix = "#"): { name: string; value: string } | undefined {
  if (!line.startsWith(prefix)) return undefined;
  const match = /^([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.*\S)/.exec(trimSpaceStart(line.slice(prefix.length)));
  const name = match?.[1]?.toLowerCase();
  return name === undefined || !known.has(name) ? undefined : { name, value: match?.[2] ?? "" };
}

/** All directives at the head of `text`, up to the first that is given twice. */
export function readDirectives(text: string, prefix = "#", firstLine = 1): Directive[] {
  const directives: Directive[] = [];
  const seen = new Set<string>();
  let line = firstLine;
  for (let at = 0; at < text.length; line++) {
    const newline = text.indexOf("\n", at);
    const end = newline < 0 ? text.length : newline;
    const directive = readDirective(text.slice(at, end).replace(/\r+$/, ""), prefix);
    if (directive === undefined || seen.has(directive.name)) break;
    seen.add(directive.name);
    directives.push({ ...directive, line });
    at = end + 1;
  }
  return directives;
}

/** The directive of that name in `#` form. A byte-order mark and a `#!` line are passed over. */
export function findDirective(name: string, text: string): FoundDirective | undefined {
  const { body, line } = withoutHead(text);
  return pick(name, readDirectives(body, "#", line));
}

/** The `syntax` directive, which may also be written `// syntax=…` or as a member of a JSON object, for files that are no Dockerfiles. */
export function detectSyntax(text: string): FoundDirective | undefined {
  const { body, line } = withoutHead(text);
  const found = pick("syntax", readDirectives(body, "#", line)) ?? pick("syntax", readDirectives(body, "//", line));
  if (found !== undefined || !/^\s*\{/.test(body)) return found;
  try {
    const { syntax } = JSON.parse(body) as { syntax?: unknown };
    return typeof syntax === "string" ? { value: syntax, commandLine: syntax, line } : undefined;
  } catch {
    return undefined;
  }
}

function pick(name: string, directives: Directive[]): FoundDirective | undefined {
  const found = directives.find((directive) => directive.name === name);
  if (found === undefined) return undefined;
  return { value: found.value.split(" ", 1)[0] ?? "", commandLine: found.value, line: found.line };
}

function withoutHead(text: string): { body: string; line: number } {
  const body = text.startsWith("\ufeff") ? text.slice(1) : text;
  if (!body.startsWith("#!")) return { body, line: 1 };
  const newline = body.indexOf("\n");
  return { body: newline < 0 ? "" : body.slice(newline + 1), line: 2 };
}
