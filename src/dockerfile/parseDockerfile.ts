import { buildInstruction } from "./buildInstruction.ts";
import type { Dockerfile, DockerfileWarning, Stage } from "./instruction.ts";
import { logicalLines } from "./logicalLines.ts";
import { parseDirectives } from "./parseDirectives.ts";
import { syntaxError } from "./syntaxError.ts";

/**
 * Reads a Dockerfile as BuildKit's frontend does: directives, instructions with their flags, heredocs and forms, stages. Nothing is expanded.
 * @throws SlipwayError `DOCKERFILE_SYNTAX` with file, lines and, where one is likely, a suggestion
 */
export function parseDockerfile(text: string, options: { file?: string } = {}): Dockerfile {
  const file = options.file ?? "Dockerfile";
  const source = text.replace(/^\ufeff/, "");
  const lines = source.split(/\r?\n/);
  const directives = parseDirectives(file, source, lines);
  const globalArgs: Dockerfile["globalArgs"] = [];
  const stages: Stage[] = [];
  const warnings: DockerfileWarning[] = [];
  for (const line of logicalLines(file, source, lines, directives.escape)) {
    if (line.emptyContinuation) {
      warnings.push({
        rule: "NoEmptyContinuation",
        message: "NoEmptyContinuation: Empty continuation line",
        range: line.range,
      });
    }
    const instruction = buildInstruction(line, directives.escape);
    const stage = stages.at(-1);
    if (instruction.kind === "from") {
      stages.push({ from: instruction, name: (instruction.as ?? "").toLowerCase(), instructions: [] });
    } else if (stage !== undefined) stage.instructions.push(instruction);
    else if (instruction.kind === "arg") globalArgs.push(instruction);
    else {
      throw syntaxError(
        "no build stage in current context",
        line.range,
        "The first instruction must be FROM (only ARG may stand before it).",
      );
    }
  }
  if (stages.length === 0) {
    throw syntaxError(
      "the file has no instructions of a stage",
      { file, start: 1, end: 1, text: source },
      "A Dockerfile begins with FROM and the name of a base image.",
    );
  }
  return { file, text: source, directives, globalArgs, stages, warnings };
}
