import { SlipwayError, type SourceRange } from "../oci/SlipwayError.ts";
import { detectSyntax, findDirective } from "./directives.ts";
import type { Dockerfile, DockerfileWarning, Instruction, Stage } from "./instruction.ts";
import { instructionOf } from "./instructionOf.ts";
import { type EmptyContinuation, parse } from "./parse.ts";

/**
 * Reads a Dockerfile as BuildKit's frontend does. Nothing is expanded. `warnings` are those of the syntax alone; checkDockerfile finds the
 * others.
 * @throws SlipwayError with the lines at fault: `INVALID_DOCKERFILE` (the syntax), `UNKNOWN_INSTRUCTION`, `UNKNOWN_FLAG`, `INVALID_FLAG`,
 * `INVALID_MOUNT`, `INVALID_INSTRUCTION`
 */
export function parseDockerfile(text: string, options: { file?: string } = {}): Dockerfile {
  const parsed = parseStages(text, options.file ?? "Dockerfile");
  if (parsed.error !== undefined) throw parsed.error;
  return parsed.dockerfile;
}

/** Like `parseDockerfile`, but what stands before an instruction that cannot be read is kept. @throws SlipwayError `INVALID_DOCKERFILE` */
export function parseStages(text: string, file: string): { dockerfile: Dockerfile; error?: SlipwayError } {
  const { nodes, mark, emptyContinuations } = parse(text, file);
  const syntax = detectSyntax(text);
  const check = findDirective("check", text);
  const dockerfile: Dockerfile = {
    file,
    text,
    directives: {
      ...(syntax === undefined ? {} : { syntax: syntax.value }),
      escape: mark,
      ...(check === undefined ? {} : { check: check.value }),
    },
    globalArgs: [],
    stages: [],
    warnings: emptyContinuations.map((each) => emptyContinuationWarning(each, file, text)),
  };
  for (const node of nodes) {
    const range = { file, start: node.start, end: node.end, text };
    try {
      // The spread of a union is not a union to the compiler.
      const instruction = { ...instructionOf(node), range } as Instruction;
      if (!addInstruction(dockerfile, instruction)) return { dockerfile, error: noStage(range) };
    } catch (error) {
      if (!(error instanceof SlipwayError)) throw error;
      return { dockerfile, error: placed(error, range) };
    }
  }
  if (dockerfile.stages.length > 0) return { dockerfile };
  const end = nodes.at(-1)?.end ?? 1;
  const error = new SlipwayError("INVALID_DOCKERFILE", "dockerfile contains no stages to build", {
    hint: "A Dockerfile begins with FROM and the name of a base image.",
    range: { file, start: end, end, text },
  });
  return { dockerfile, error };
}

/** False for an instruction that stands before the first stage and must not. */
function addInstruction({ globalArgs, stages }: Dockerfile, instruction: Instruction): boolean {
  const stage: Stage | undefined = stages.at(-1);
  if (instruction.kind === "from")
    stages.push({ from: instruction, name: (instruction.as ?? "").toLowerCase(), instructions: [] });
  else if (stage !== undefined) stage.instructions.push(instruction);
  else if (instruction.kind === "arg") globalArgs.push(instruction);
  else return false;
  return true;
}

function noStage(range: SourceRange): SlipwayError {
  return new SlipwayError("INVALID_DOCKERFILE", "no build stage in current context", {
    hint: "The first instruction must be FROM; only ARG may stand before it.",
    range,
  });
}

function emptyContinuationWarning({ line }: EmptyContinuation, file: string, text: string): DockerfileWarning {
  return {
    rule: "NoEmptyContinuation",
    message: "Empty continuation line",
    url: "https://docs.docker.com/go/dockerfile/rule/no-empty-continuation/",
    range: { file, start: line, end: line, text },
  };
}

/** An instruction that cannot be read says its line, as BuildKit's does. */
function placed(error: SlipwayError, range: SourceRange): SlipwayError {
  return new SlipwayError(error.code, `dockerfile parse error on line ${range.start}: ${error.message}`, {
    cause: error,
    range: error.range ?? range,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}
