import type { Heredoc } from "./instruction.ts";

/** An instruction as syntax: its words are known, their meaning is not. */
export interface Node {
  /** The instruction's name as written. */
  name: string;
  /** `--flag[=value]` words, quotes taken away. */
  flags: string[];
  /** The values that follow. ENV and LABEL give key, value and separator ("" in the old blank form) each. */
  values: string[];
  /** The values come from a JSON array. */
  json: boolean;
  /** ONBUILD's trigger. */
  trigger?: Node;
  heredocs: Heredoc[];
  /** As written, continuation lines joined, without heredoc bodies. */
  original: string;
  /** Comment lines directly above, without `#`. */
  comments: string[];
  /** First and last line, from 1; heredoc bodies included. */
  start: number;
  end: number;
}
