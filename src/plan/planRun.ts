import type { Heredoc, InstructionOf } from "../dockerfile/instruction.ts";
import { parseDevice } from "../dockerfile/parseDevice.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { cacheTtlOf } from "./duration.ts";
import { chompHeredoc, expandWord } from "./expand.ts";
import type { RunStep } from "./graph.ts";
import { record } from "./history.ts";
import { addStep, type PlanContext, stepBase } from "./PlanContext.ts";
import { commandArgs } from "./planMetadata.ts";
import { runMounts } from "./runMounts.ts";
import type { Command, StageState } from "./StageState.ts";
import { nextStepName } from "./stepName.ts";

/**
 * RUN. Its words are the shell's to expand; those of its mounts are ours.
 * @throws SlipwayError `INVALID_INSTRUCTION`
 */
export function planRun(
  state: StageState,
  context: PlanContext,
  command: Command,
  instruction: InstructionOf<"run">,
): void {
  const [device] = instruction.device;
  if (device !== undefined)
    throw new SlipwayError(
      "UNSUPPORTED_DEVICE",
      `RUN --device=${parseDevice(device).name}: CDI devices are not supported`,
      {
        range: instruction.range,
        hint: "Do what needs the device in a container: slipway run --privileged, then slipway commit.",
      },
    );
  const { words, args, pipes, note } = processOf(state, instruction);
  const expand = (word: string): string =>
    expandWord(word, state.env, context.dockerfile.directives.escape, instruction.range);
  const mounts = runMounts(state, context, command, instruction.mounts, expand);
  const env = [...state.env].map(([key, value]) => `${key}=${value}`);
  // BuildKit: also where the agent is optional and missing, and for the first one alone.
  const agent = mounts.find((mount) => mount.type === "ssh");
  if (agent !== undefined && !state.env.has("SSH_AUTH_SOCK")) env.push(`SSH_AUTH_SOCK=${agent.target}`);
  const secretNames = mounts.flatMap((mount) => (mount.type === "secret" && mount.env ? [mount.env] : []));
  const name = nextStepName(state, context, instruction, {
    onBuild: command.onBuild,
    text: instruction.original + note,
    keepQuotes: true,
    hidden: secretNames,
  });
  const ttl = cacheTtlOf(instruction.comments);
  const step: Omit<RunStep, "id"> = {
    ...stepBase(state, name, { range: instruction.range, ...(ttl === undefined ? {} : { cacheTtl: ttl }) }),
    kind: "run",
    base: state.step,
    args,
    env,
    argNames: argNames(state),
    proxyEnv: context.proxyEnv.filter((entry) => !state.env.has(entry.split("=", 1)[0] ?? "")),
    cwd: state.config.WorkingDir || "/",
    user: state.config.User ?? "",
    mounts,
    network: oneOf("network", instruction.network, ["default", "none", "host"]) ?? context.options.network ?? "default",
    security: oneOf("security", instruction.security, ["sandbox", "insecure"]) ?? "sandbox",
    pipes,
  };
  state.step = addStep(context.steps, step);
  record(state, `RUN ${[...argsShown(state), ...words].join(" ")} # buildkit`, state.step);
}

/** An ENV of the same name covers an ARG. */
function argNames({ args, env, config }: StageState): string[] {
  const set = new Set((config.Env ?? []).map((entry) => entry.split("=", 1)[0]));
  return [...new Set(args.map(({ key }) => key))].filter((key) => env.has(key) && !set.has(key));
}

/** What runs: `words` are for the history, which shows SHELL as well. */
function processOf(state: StageState, { command }: InstructionOf<"run">) {
  const [first, ...others] = command.files;
  const [text = ""] = command.words;
  const none: RunStep["pipes"] = [];
  if (first === undefined) {
    const args = commandArgs(state, command);
    return { words: args, args, pipes: none, note: "" };
  }
  if (!command.shell || command.words.length !== 1)
    throw new SlipwayError("INVALID_INSTRUCTION", "a heredoc needs RUN's shell form");
  if (others.length > 0 || !loneHeredoc.test(text)) {
    const args = commandArgs(state, command, [rejoin(text, command.files)]);
    return { words: args, args, pipes: none, note: "" };
  }
  const content = chompHeredoc(first);
  const note = ` (${summary(first.content)})`;
  if (state.os !== "windows" && content.startsWith("#!")) {
    const args = commandArgs(state, command, [`/dev/pipes/${first.name}`]);
    return { words: args, args, pipes: [{ name: first.name, content }], note };
  }
  const args = commandArgs(state, command, [content]);
  return { words: args, args, pipes: none, note };
}

/** The whole shell text is one `<<EOF`. */
const loneHeredoc = /^\s*\d*<<-?\s*(?:"[^"]+"|'[^']+'|[^\s"'<]+)\s*$/;

/** The text as the shell would have read it. */
function rejoin(text: string, files: readonly Heredoc[]): string {
  return text + files.map((file) => `\n${file.content}${file.name}`).join("");
}

function summary(content: string): string {
  const [first = "", ...more] = content.trim().replaceAll("\r\n", "\n").split("\n");
  return more.length > 0 ? `${first}...` : first;
}

/** `|2 A=b C=` in front of a command: the ARGs it may have used. */
function argsShown(state: StageState): string[] {
  const values = new Map<string, string>();
  for (const { key, value } of state.args) values.set(key, state.env.get(key) ?? value ?? "");
  if (values.size === 0) return [];
  return [`|${values.size}`, ...[...values].map(([key, value]) => `${key}=${value}`)];
}

function oneOf<T extends string>(what: string, value: string | undefined, allowed: readonly T[]): T | undefined {
  if (value === undefined || value === "") return undefined;
  const found = allowed.find((word) => word === value);
  if (found !== undefined) return found;
  throw new SlipwayError("INVALID_INSTRUCTION", `unsupported ${what} mode ${JSON.stringify(value)}`, {
    hint: `--${what} takes ${allowed.join(" or ")}.`,
  });
}
