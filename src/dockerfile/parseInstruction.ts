import { SlipwayError, type SourceRange } from "../oci/SlipwayError.ts";
import { instructionOf } from "./instructionOf.ts";
import type { Instruction } from "./instruction.ts";
import { parse } from "./parse.ts";

export interface InstructionOptions {
  file?: string;
  /** The escape directive's character of the file that the text comes from. */
  mark?: "\\" | "`";
  /** Where errors point to, and the instruction's own range: an ONBUILD trigger stands in no file. */
  range?: SourceRange;
}

/**
 * Reads a single instruction, such as an ONBUILD trigger, heredocs included. FROM gives a `from` instruction.
 * @throws SlipwayError `INVALID_DOCKERFILE`, `INVALID_INSTRUCTION`, `UNKNOWN_INSTRUCTION`, `UNKNOWN_FLAG`, `INVALID_FLAG`, `INVALID_MOUNT`
 */
export function parseInstruction(text: string, options: InstructionOptions = {}): Instruction {
  const { file = "Dockerfile", mark, range } = options;
  try {
    // The directive takes a line of its own, which no range shows.
    const syntax = parse(mark === "`" ? `#escape=\`\n${text}` : text, file);
    const [node, ...others] = syntax.nodes;
    if (node === undefined || others.length > 0)
      throw new SlipwayError("INVALID_INSTRUCTION", "onbuild trigger should be a single expression");
    const shift = mark === "`" ? 1 : 0;
    const own = range ?? { file, start: node.start - shift, end: node.end - shift, text };
    return { ...instructionOf(node), range: own };
  } catch (error) {
    if (!(error instanceof SlipwayError)) throw error;
    throw new SlipwayError(error.code, error.message, {
      cause: error,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      range: range ?? error.range ?? { file, start: 1, end: 1, text },
    });
  }
}
