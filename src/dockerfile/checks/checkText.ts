import type { Dockerfile, Instruction, Stage } from "../instruction.ts";
import { splitCommand } from "../splitCommand.ts";
import { checkComment } from "./checkOptions.ts";
import type { Report } from "./violations.ts";

const reserved: ReadonlySet<string> = new Set(["context", "scratch"]);

/** The rules that need the text alone. They look at every stage, needed or not. */
export function checkText(dockerfile: Dockerfile, report: Report): void {
  for (const { range } of dockerfile.warnings) report("NoEmptyContinuation", { range, comments: [] });
  for (const arg of dockerfile.globalArgs) checkDescription(arg, report);
  for (const stage of dockerfile.stages) {
    checkFrom(stage, report);
    for (const instruction of stage.instructions) {
      if (instruction.kind === "maintainer") report("MaintainerDeprecated", instruction);
      checkDescription(instruction, report);
    }
  }
}

/** Rules about the file as a whole, for a file that can be read to its end. */
export function checkWhole({ stages }: Dockerfile, report: Report): void {
  const names = new Set<string>();
  for (const { name, from } of stages) {
    if (name === "") continue;
    if (reserved.has(name)) report("ReservedStageName", from, { stage: name });
    if (names.has(name)) report("DuplicateStageName", from, { stage: name });
    names.add(name);
  }
  checkCasing(stages, report);
}

/** The name as it is written. */
export function writtenName({ original }: Instruction): string {
  return splitCommand(original).name;
}

function checkFrom({ from, name }: Stage, report: Report): void {
  checkDescription(from, report);
  if (from.as === undefined) return;
  if (from.as !== name) report("StageNameCasing", from, { stage: from.as });
  const { name: written, rest } = splitCommand(from.original);
  const keyword = rest.split(/[\t\v\f\r ]+/)[1] ?? "";
  // A FROM of mixed case is the matter of another rule.
  const wanted = written === written.toLowerCase() ? keyword.toLowerCase() : keyword.toUpperCase();
  const consistent = written === written.toLowerCase() || written === written.toUpperCase();
  if (consistent && keyword !== wanted) report("FromAsCasing", from, { as: keyword, from: written });
}

function checkCasing(stages: readonly Stage[], report: Report): void {
  const all = stages.flatMap(({ from, instructions }) => [from, ...instructions]);
  const names = all.map(writtenName);
  const lower = names.filter((name) => name === name.toLowerCase()).length;
  const upper = names.filter((name) => name === name.toUpperCase()).length;
  const casing = lower > upper ? "lowercase" : "uppercase";
  for (const [i, instruction] of all.entries()) {
    const name = names[i] as string;
    const wanted = casing === "lowercase" ? name.toLowerCase() : name.toUpperCase();
    if (name !== wanted) report("ConsistentInstructionCasing", instruction, { instruction: name, casing });
  }
}

/** The comment directly above a FROM or an ARG is its description, and then begins with its name. */
function checkDescription(instruction: Instruction, report: Report): void {
  const names =
    instruction.kind === "from"
      ? instruction.as === undefined
        ? []
        : [instruction.as.toLowerCase()]
      : instruction.kind === "arg"
        ? instruction.args.map(({ key }) => key)
        : [];
  const comment = instruction.comments.findLast((each) => checkComment(each) === undefined);
  const [first] = names;
  if (first === undefined || comment === undefined || names.includes(comment.split(" ", 1)[0] ?? "")) return;
  const name = names.length > 1 ? "<arg_key>" : first;
  report("InvalidDefinitionDescription", instruction, { instruction: instruction.kind.toUpperCase(), name });
}
