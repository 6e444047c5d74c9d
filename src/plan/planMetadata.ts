import type { CommandLine, InstructionOf, KeyValue } from "../dockerfile/instruction.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { expandWord, expandWords } from "./expand.ts";
import { formatDuration, plainList, quoteList } from "./goFormat.ts";
import { record } from "./history.ts";
import type { PlanContext } from "./PlanContext.ts";
import { parsePorts } from "./ports.ts";
import { isSignal } from "./signalNames.ts";
import type { StageState } from "./StageState.ts";

type MetadataKind =
  | "arg"
  | "env"
  | "label"
  | "cmd"
  | "entrypoint"
  | "user"
  | "volume"
  | "expose"
  | "stopsignal"
  | "shell"
  | "healthcheck"
  | "onbuild"
  | "maintainer";

/**
 * The instructions that change the config and make no layer.
 * @throws SlipwayError `INVALID_PORT`, `INVALID_INSTRUCTION`
 */
export function planMetadata(state: StageState, context: PlanContext, instruction: InstructionOf<MetadataKind>): void {
  const { config } = state;
  const { escape: mark } = context.dockerfile.directives;
  const expand = (word: string): string => expandWord(word, state.env, mark, instruction.range);
  switch (instruction.kind) {
    case "arg":
      planArg(state, context, instruction, expand);
      return;
    case "env": {
      const pairs = expandPairs(instruction.pairs, expand);
      config.Env ??= [];
      for (const { key, value } of pairs) {
        // What the stage's environment does not know is not in its config either, which is the stage's own.
        if (state.env.has(key)) config.Env = withEnv(config.Env, key, value);
        else config.Env.push(`${key}=${value}`);
        state.env.set(key, value);
      }
      record(state, `ENV ${pairs.map(pairText).join(" ")}`);
      return;
    }
    case "label": {
      const pairs = expandPairs(instruction.pairs, expand);
      config.Labels ??= {};
      for (const { key, value } of pairs) define(config.Labels, key, value);
      record(state, `LABEL ${pairs.map(pairText).join(" ")}`);
      return;
    }
    case "cmd": {
      const args = commandArgs(state, instruction.command);
      config.Cmd = args;
      config.ArgsEscaped = true;
      state.cmdSet = true;
      record(state, `CMD ${quoteList(args)}`);
      return;
    }
    case "entrypoint": {
      const args = commandArgs(state, instruction.command);
      config.Entrypoint = args;
      if (!state.cmdSet) delete config.Cmd;
      record(state, `ENTRYPOINT ${quoteList(args)}`);
      return;
    }
    case "user":
      config.User = expand(instruction.user);
      record(state, `USER ${config.User}`);
      return;
    case "volume": {
      const paths = instruction.paths.map(expand);
      if (paths.includes(""))
        throw new SlipwayError("INVALID_INSTRUCTION", "VOLUME specified can not be an empty string");
      config.Volumes ??= {};
      for (const path of paths) define(config.Volumes, path, {});
      record(state, `VOLUME ${plainList(paths)}`);
      return;
    }
    case "expose": {
      const words = instruction.ports.flatMap((port) => expandWords(port, state.env, mark, instruction.range));
      const ports = parsePorts(words);
      config.ExposedPorts ??= {};
      for (const port of ports) define(config.ExposedPorts, port, {});
      record(state, `EXPOSE ${plainList(ports)}`);
      return;
    }
    case "stopsignal": {
      const signal = expand(instruction.signal);
      if (!isSignal(signal)) throw new SlipwayError("INVALID_INSTRUCTION", `invalid signal: ${signal}`);
      config.StopSignal = signal;
      record(state, `STOPSIGNAL ${signal}`);
      return;
    }
    case "shell":
      config.Shell = [...instruction.shell];
      record(state, `SHELL ${plainList(instruction.shell)}`);
      return;
    case "healthcheck":
      planHealthcheck(state, instruction);
      return;
    case "onbuild":
      config.OnBuild = [...(config.OnBuild ?? []), instruction.expression];
      return;
    case "maintainer":
      state.author = instruction.maintainer;
      record(state, `MAINTAINER ${instruction.maintainer}`);
      return;
  }
}

/** Sets an own property, also one named `__proto__`. */
function define<V>(record: Record<string, V>, key: string, value: V): void {
  if (key !== "__proto__") record[key] = value;
  else Object.defineProperty(record, key, { value, configurable: true, enumerable: true, writable: true });
}

/** A command as the process's arguments: shell form goes through SHELL. */
export function commandArgs(
  state: StageState,
  command: CommandLine,
  words: readonly string[] = command.words,
): string[] {
  if (!command.shell) return [...words];
  const set = state.config.Shell ?? [];
  const shell = set.length > 0 ? set : state.os === "windows" ? ["cmd", "/S", "/C"] : ["/bin/sh", "-c"];
  return [...shell, words.join(" ")];
}

/** Sets the first entry of `key`, else adds one at the end. */
export function withEnv(env: readonly string[], key: string, value: string): string[] {
  const at = env.findIndex((entry) => entry.split("=", 1)[0] === key);
  return at < 0 ? [...env, `${key}=${value}`] : env.with(at, `${key}=${value}`);
}

function planArg(
  state: StageState,
  context: PlanContext,
  instruction: InstructionOf<"arg">,
  expand: (word: string) => string,
): void {
  const texts: string[] = [];
  for (const { key, value: written } of instruction.args) {
    // A default that a build argument replaces is not even expanded, so its errors do not count.
    const value = context.buildArgs.get(key) ?? (written === undefined ? context.globalArgs.get(key) : expand(written));
    // BuildKit's SBOM switches are for the builder, not for processes.
    if (value !== undefined && !key.startsWith("BUILDKIT_SBOM_SCAN_")) state.env.set(key, value);
    state.args.push({ key, ...(value === undefined ? {} : { value }) });
    texts.push(value === undefined ? key : `${key}=${value}`);
  }
  record(state, `ARG ${texts.join(" ")}`);
}

function planHealthcheck(state: StageState, instruction: InstructionOf<"healthcheck">): void {
  const { test, interval, timeout, startPeriod, startInterval, retries } = instruction;
  state.config.Healthcheck = {
    Test: [...test],
    ...(interval ? { Interval: interval } : {}),
    ...(timeout ? { Timeout: timeout } : {}),
    ...(startPeriod ? { StartPeriod: startPeriod } : {}),
    ...(startInterval ? { StartInterval: startInterval } : {}),
    ...(retries ? { Retries: retries } : {}),
  };
  const fields = [
    `Test:${plainList(test)}`,
    `Interval:${formatDuration(interval ?? 0)}`,
    `Timeout:${formatDuration(timeout ?? 0)}`,
    `StartPeriod:${formatDuration(startPeriod ?? 0)}`,
    `StartInterval:${formatDuration(startInterval ?? 0)}`,
    `Retries:${retries ?? 0}`,
  ];
  record(state, `HEALTHCHECK {${fields.join(" ")}}`);
}

/** All words of one instruction see the environment before it. */
function expandPairs(pairs: readonly KeyValue[], expand: (word: string) => string): { key: string; value: string }[] {
  return pairs.map(({ key, value }) => ({ key: expand(key), value: expand(value) }));
}

function pairText({ key, value }: { key: string; value: string }): string {
  return `${key}=${value}`;
}
