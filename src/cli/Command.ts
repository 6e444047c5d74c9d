import type { Engine } from "../engine/Engine.ts";
import type { Emit } from "../engine/events.ts";
import type { Linux } from "../linux/Linux.ts";
import type { Flag, ParsedFlags } from "./flags.ts";

/** One command of slipway: what it takes, and what it does. A file in `commands/` exports it as `command`. */
export interface Command {
  /** After the name: `[OPTIONS] IMAGE [COMMAND] [ARG...]`. */
  usage: string;
  /** One sentence. */
  summary: string;
  example: string;
  /** Number of positional arguments. */
  min: number;
  max?: number;
  flags: Record<string, Flag>;
  /** Flags end at the first positional: `run IMAGE COMMAND -x`. */
  stopAtPositional?: boolean;
  /** Exit status of errors before a container runs; 1 where not said. */
  failure?: number;
  run(call: Call): Promise<number>;
}

/** What a command works with. */
export interface Call {
  /** Flags that were given. */
  values: ParsedFlags["values"];
  positionals: string[];
  /** Aborted by Ctrl-C and SIGTERM. */
  signal: AbortSignal;
  out(text: string): void;
  err(text: string): void;
  /** The kernel, opened at the first call. */
  linux(): Linux;
  /** Opens the store; it ends with the process. */
  engine(emit?: Emit): Promise<Engine>;
}

export function text(call: Call, name: string): string | undefined {
  return call.values[name] as string | undefined;
}

export function list(call: Call, name: string): string[] {
  return (call.values[name] as string[] | undefined) ?? [];
}

export function flag(call: Call, name: string): boolean {
  return call.values[name] === true;
}

export function number(call: Call, name: string): number | undefined {
  return call.values[name] as number | undefined;
}

/** `{ [key]: value }`, or nothing where there is no value. */
export function given<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return (value === undefined ? {} : { [key]: value }) as { [P in K]?: V };
}

/** `KEY=VALUE` in its two parts; `KEY` alone has the value "". */
export function keyValue(entry: string): [string, string] {
  const equals = entry.indexOf("=");
  return equals < 0 ? [entry, ""] : [entry.slice(0, equals), entry.slice(equals + 1)];
}
