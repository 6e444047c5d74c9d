import { SlipwayError } from "../oci/SlipwayError.ts";
import { readDirective } from "./directives.ts";
import { heredocsOfLine } from "./heredoc.ts";
import type { Heredoc } from "./instruction.ts";
import type { Node } from "./node.ts";
import { readNode } from "./readNode.ts";
import { trimSpace, trimSpaceStart } from "./space.ts";

/** An instruction that empty lines run through. */
export interface EmptyContinuation {
  /** The instruction's last line. */
  line: number;
  original: string;
}

export interface Syntax {
  nodes: Node[];
  /** The escape directive's character. */
  mark: "\\" | "`";
  emptyContinuations: EmptyContinuation[];
}

// Go's bufio.Scanner, by which BuildKit reads, holds 64 KiB with the newline.
const MAX_LINE = 65535;

/**
 * Reads a Dockerfile's lines as instructions: directives, comments, continuation lines, heredocs, and the words of each instruction.
 * Time is linear in the text.
 * @throws SlipwayError `INVALID_DOCKERFILE` with the lines at fault
 */
export function parse(text: string, file = "Dockerfile"): Syntax {
  const nodes: Node[] = [];
  const emptyContinuations: EmptyContinuation[] = [];
  const seen = new Set<string>();
  let mark: "\\" | "`" = "\\";
  let atHead = true;
  let comments: string[] = [];
  let at = text.startsWith("\ufeff") ? 1 : 0;
  let line = 0;

  /** The next line with its end, or undefined. */
  function next(): string | undefined {
    if (at >= text.length) return undefined;
    const newline = text.indexOf("\n", at);
    const end = newline < 0 ? text.length : newline + 1;
    const found = text.slice(at, end);
    at = end;
    line++;
    const length = newline < 0 ? found.length : found.length - 1;
    // A character is three bytes at most for each unit of its string.
    if (length * 3 > MAX_LINE && Buffer.byteLength(found) - (found.length - length) > MAX_LINE)
      throw failure(`dockerfile line greater than max allowed size of ${MAX_LINE}`, line);
    return found;
  }

  function failure(message: string, start: number, cause?: unknown): SlipwayError {
    return new SlipwayError("INVALID_DOCKERFILE", message, { cause, range: { file, start, end: line, text } });
  }

  /** Notes a directive; true when the line was one. */
  function takeDirective(written: string): boolean {
    const directive = atHead ? readDirective(written) : undefined;
    if (directive === undefined) {
      atHead = false;
      return false;
    }
    const { name, value } = directive;
    if (seen.has(name)) throw failure(`only one ${name} parser directive can be used`, line);
    seen.add(name);
    if (name === "escape") {
      if (value !== "\\" && value !== "`")
        throw failure(`invalid escape token '${value}' does not match \` or \\`, line);
      mark = value;
    }
    return true;
  }

  /** The instruction that begins with `first`, with the lines that continue it. */
  function joinLines(first: string): string {
    const start = continued(first, mark);
    if (start === undefined) return first;
    let joined = start;
    let empty = false;
    for (let more = next(); more !== undefined; more = next()) {
      const part = withoutNewline(more);
      const begin = trimSpaceStart(part);
      if (begin[0] === "#") continue;
      if (begin === "") {
        empty = true;
        continue;
      }
      const unended = continued(part, mark);
      joined += unended ?? part;
      if (unended === undefined) break;
    }
    if (empty) emptyContinuations.push({ line, original: trimSpace(joined) });
    return joined;
  }

  function readHeredoc(heredoc: Heredoc, start: number): Heredoc {
    const parts: string[] = [];
    for (let body = next(); body !== undefined; body = next()) {
      const bare = withoutNewline(body);
      if ((heredoc.chomp ? bare.replace(/^\t+/, "") : bare) === heredoc.name)
        return { ...heredoc, content: parts.join("") };
      parts.push(body);
    }
    throw failure("unterminated heredoc", start);
  }

  for (let raw = next(); raw !== undefined; raw = next()) {
    const written = trimSpaceStart(withoutNewline(raw));
    if (takeDirective(written)) continue;
    if (written[0] === "#") {
      const comment = trimSpace(written.slice(1));
      // A bare `#` parts the comment above from what follows, as an empty line does.
      if (comment === "") comments = [];
      else comments.push(comment);
      continue;
    }
    if (written === "") {
      comments = [];
      continue;
    }
    const start = line;
    const joined = joinLines(written);
    try {
      const node = readNode(joined, mark);
      if (takesHeredocs(node)) node.heredocs = heredocsOfLine(joined).map((heredoc) => readHeredoc(heredoc, start));
      nodes.push({ ...node, comments, start, end: line });
    } catch (error) {
      if (error instanceof SlipwayError && error.range !== undefined) throw error;
      throw failure(error instanceof Error ? error.message : String(error), start, error);
    }
    comments = [];
  }
  if (nodes.length === 0) {
    line = Math.max(line, 1);
    throw failure("file with no instructions", line);
  }
  return { nodes, mark, emptyContinuations };
}

/** The line without its continuation character, or undefined when it has none. One that stands behind another is not one. */
function continued(line: string, mark: string): string | undefined {
  let end = line.length;
  while (end > 0 && (line[end - 1] === " " || line[end - 1] === "\t")) end--;
  if (end === 0 || line[end - 1] !== mark || line[end - 2] === mark) return undefined;
  return line.slice(0, end - 1);
}

function withoutNewline(line: string): string {
  let end = line.length;
  while (end > 0 && (line[end - 1] === "\n" || line[end - 1] === "\r")) end--;
  return line.slice(0, end);
}

function takesHeredocs(node: Node): boolean {
  const { name, json } = node.trigger ?? node;
  return !json && /^(?:add|copy|run)$/i.test(name);
}
