import type { SourceRange } from "../oci/SlipwayError.ts";
import { findHeredocs } from "./heredocWords.ts";
import type { Heredoc } from "./instruction.ts";
import { syntaxError } from "./syntaxError.ts";

/** One instruction's text: continuation lines joined, heredoc bodies taken out. */
export interface LogicalLine {
  text: string;
  range: SourceRange;
  /** Comment lines directly above, without `#`. */
  comments: string[];
  heredocs: Heredoc[];
  /** An empty line stood inside of a continuation. */
  emptyContinuation: boolean;
}

/** @throws SlipwayError `DOCKERFILE_SYNTAX` for a heredoc that does not end */
export function logicalLines(
  file: string,
  source: string,
  lines: readonly string[],
  escapeChar: "\\" | "`",
): LogicalLine[] {
  const found: LogicalLine[] = [];
  const token = escapeChar === "\\" ? "\\\\" : "`";
  const continued = new RegExp(`(^|[^${token}])${token}[ \\t]*$`);
  let comments: string[] = [];
  let at = 0;
  while (at < lines.length) {
    const first = lines[at] as string;
    if (first.trim() === "") {
      comments = [];
      at++;
      continue;
    }
    if (isComment(first)) {
      comments.push(first.trim().slice(1).trim());
      at++;
      continue;
    }
    const start = at;
    const parts: string[] = [];
    let emptyContinuation = false;
    for (;;) {
      const line = lines[at] as string;
      at++;
      // Leading blanks count inside of a continuation, not before the instruction.
      const own = parts.length === 0 ? line.replace(/^\s+/, "") : line;
      if (!continued.test(own)) {
        parts.push(own);
        break;
      }
      parts.push(own.replace(continued, "$1"));
      // Comments and empty lines inside of a continuation are passed over.
      while (at < lines.length && (isComment(lines[at] as string) || (lines[at] as string).trim() === "")) {
        if ((lines[at] as string).trim() === "") emptyContinuation = true;
        at++;
      }
      if (at >= lines.length) break;
    }
    const text = parts.join("").trim();
    const heredocs: Heredoc[] = [];
    for (const opened of findHeredocs(text, escapeChar)) {
      const body: string[] = [];
      let closed = false;
      while (at < lines.length) {
        const line = lines[at++] as string;
        if ((opened.chomp ? line.replace(/^\t+/, "") : line) === opened.name) {
          closed = true;
          break;
        }
        body.push(`${line}\n`);
      }
      if (!closed) {
        throw syntaxError(
          `unterminated heredoc`,
          { file, start: start + 1, end: lines.length, text: source },
          `A line that holds just ${opened.name} ends it.`,
        );
      }
      heredocs.push({ ...opened, content: body.join("") });
    }
    if (text !== "") {
      found.push({
        text,
        range: { file, start: start + 1, end: at, text: source },
        comments,
        heredocs,
        emptyContinuation,
      });
    }
    comments = [];
  }
  return found;
}

function isComment(line: string): boolean {
  return /^\s*#/.test(line);
}
