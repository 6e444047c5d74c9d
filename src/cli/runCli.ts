import { SlipwayError } from "../oci/SlipwayError.ts";
import type { Call } from "./Command.ts";
import { commandTable, findCommand } from "./commandTable.ts";
import { type Flag, parseFlags } from "./flags.ts";
import type { Emit } from "../engine/events.ts";
import type { Linux } from "../linux/Linux.ts";
import { nearest } from "../dockerfile/nearest.ts";

/** Where the program's text goes. */
export interface Terminal {
  /** How the process is to end, once the store is open. */
  exit?: (code: number) => never;
  /** `Engine.beginAnew` */
  beginAnew?: () => never;
  out(text: string): void;
  err(text: string): void;
}

const globalFlags: Record<string, Flag> = {
  root: { type: "string", help: "" },
  runtime: { type: "string", help: "" },
  storage: { type: "string", help: "" },
  isolation: { type: "string", help: "" },
  debug: { type: "bool", short: "D", help: "" },
  version: { type: "bool", short: "v", help: "" },
  help: { type: "bool", short: "h", help: "" },
};

/** Runs the command that `argv` (without the program) names; the exit status. Errors are printed here, and nowhere else. */
export async function runCli(argv: readonly string[], terminal: Terminal): Promise<number> {
  let debug = false;
  let failure = 1;
  try {
    const { values: globals, positionals: words } = parseFlags(argv, {
      command: "slipway",
      flags: globalFlags,
      stopAtPositional: true,
    });
    debug = globals.debug === true;
    if (globals.version === true) {
      const { versionLine } = await import("./version.ts");
      terminal.out(`${versionLine()}\n`);
      return 0;
    }
    if (globals.help === true || words.length === 0 || words[0] === "help") {
      if (words[0] === "help" && words.length > 1) return await runCli([...words.slice(1), "--help"], terminal);
      const { generalHelp } = await import("./help.ts");
      terminal.out(generalHelp());
      return 0;
    }
    const found = findCommand(words);
    if (found === undefined) throw unknownCommand(words);
    const { command } = await found.entry.load();
    failure = command.failure ?? 1;
    const rest = words.slice(found.words);
    const { values, positionals } = parseFlags(rest, {
      command: `slipway ${found.entry.name}`,
      flags: { ...command.flags, help: helpFlag(command.flags) },
      ...(command.stopAtPositional === true ? { stopAtPositional: true } : {}),
      exitCode: failure,
    });
    debug ||= values.debug === true;
    if (values.help === true) {
      const { commandHelp } = await import("./help.ts");
      terminal.out(commandHelp(found.entry, command));
      return 0;
    }
    checkCount(found.entry.name, command, positionals.length, failure);
    return await withCall(terminal, { ...globals }, values, positionals, (call) => command.run(call));
  } catch (error) {
    if (error instanceof Interrupted) return error.exitCode;
    const { errorText } = await import("./errorText.ts");
    terminal.err(errorText(error, { debug }));
    const own = error instanceof SlipwayError ? error.exitCode : 1;
    return own === 1 ? failure : own;
  }
}

/** Ctrl-C or SIGTERM ended the command: 128 plus the signal's number. */
class Interrupted extends Error {
  constructor(readonly exitCode: number) {
    super("interrupted");
  }
}

async function withCall(
  terminal: Terminal,
  globals: Record<string, unknown>,
  values: Call["values"],
  positionals: string[],
  work: (call: Call) => Promise<number>,
): Promise<number> {
  const abort = new AbortController();
  const onSignal = (name: "SIGINT" | "SIGTERM"): void => abort.abort(new Interrupted(name === "SIGINT" ? 130 : 143));
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  const [{ openEngine }, { createLinux }] = await Promise.all([
    import("../engine/openEngine.ts"),
    import("../linux/createLinux.ts"),
  ]);
  let kernel: Linux | undefined;
  const linux = (): Linux => {
    kernel ??= createLinux();
    return kernel;
  };
  try {
    return await work({
      values,
      positionals,
      signal: abort.signal,
      ...terminal,
      linux,
      async engine(emit = () => {}) {
        const flags: { root?: string; runtime?: string; storage?: string; isolation?: string } = {};
        if (typeof globals.root === "string") flags.root = globals.root;
        if (typeof globals.runtime === "string") flags.runtime = globals.runtime;
        if (typeof globals.storage === "string") flags.storage = globals.storage;
        if (typeof globals.isolation === "string") flags.isolation = globals.isolation;
        // Never closed: the process is about to end, and SQLite's last connection would write its log back, with an fsync, at every command.
        const engine = await openEngine({
          emit: withWarnings(emit, terminal, globals.debug === true || values.debug === true),
          signal: abort.signal,
          flags,
          beginAnew: terminal.beginAnew,
          linux: linux(),
        });
        terminal.exit = engine.store.linux.exit;
        return engine;
      },
    });
  } catch (error) {
    if (abort.signal.aborted) throw abort.signal.reason;
    throw error;
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}

/** A warning is for the person whatever the command shows of its work; what explains slipway itself is so with `--debug`. */
function withWarnings(emit: Emit, terminal: Terminal, debug: boolean): Emit {
  return (event) => {
    if (event.type === "warning") terminal.err(`WARNING: ${event.message}\n`);
    else if (event.type !== "debug") emit(event);
    else if (debug) terminal.err(`debug: ${event.message}\n`);
  };
}

function checkCount(
  name: string,
  command: { min: number; max?: number; usage: string },
  count: number,
  exitCode: number,
): void {
  const { min, max = Number.POSITIVE_INFINITY } = command;
  if (count >= min && count <= max) return;
  const wanted = min === max ? `exactly ${min}` : count < min ? `at least ${min}` : `at most ${max}`;
  throw new SlipwayError(
    "USAGE",
    `'slipway ${name}' takes ${wanted} argument${(count < min ? min : max) === 1 ? "" : "s"}`,
    {
      hint: `Usage:  slipway ${name} ${command.usage}\nSee 'slipway ${name} --help'.`,
      exitCode,
    },
  );
}

/** `-h` is help where the command has no use of its own for it, as `run` has. */
function helpFlag(flags: Record<string, Flag>): Flag {
  const taken = Object.values(flags).some(({ short }) => short === "h");
  return { type: "bool", help: "", ...(taken ? {} : { short: "h" }) };
}

function unknownCommand(words: readonly string[]): SlipwayError {
  const spelled = commandTable.flatMap((entry) => [entry.name, ...entry.aliases]);
  const [first = "", second] = words;
  const group = spelled.flatMap((name) => (name.startsWith(`${first} `) ? [name.slice(first.length + 1)] : []));
  // A word of two is compared with words of two first: `image lss` is nearer to `image ls` than to `images`.
  const two =
    second === undefined
      ? undefined
      : nearest(
          `${first} ${second}`,
          spelled.filter((name) => name.includes(" ")),
        );
  const near =
    two ??
    (group.length > 0
      ? undefined
      : nearest(
          first,
          spelled.filter((name) => !name.includes(" ")),
        ));
  const said = group.length > 0 && second !== undefined ? `${first} ${second}` : first;
  const hint =
    near !== undefined
      ? `Did you mean 'slipway ${near}'? See 'slipway --help'.`
      : group.length > 0
        ? `It has: ${group.join(", ")}.`
        : "See 'slipway --help'.";
  return new SlipwayError("UNKNOWN_COMMAND", `${JSON.stringify(said)} is not a slipway command`, { hint });
}
