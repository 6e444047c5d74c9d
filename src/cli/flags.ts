import { SlipwayError } from "../oci/SlipwayError.ts";
import { nearest } from "../dockerfile/nearest.ts";

export type FlagType = "string" | "bool" | "list" | "int";

export interface Flag {
  type: FlagType;
  short?: string;
  help: string;
  /** Docker has this flag and slipway does not: it is refused with this reason, never ignored. */
  unsupported?: string;
}

export interface FlagRules {
  /** Said in errors: `slipway run`. */
  command: string;
  flags: Record<string, Flag>;
  /** Flags end at the first positional, as in `run IMAGE COMMAND -x`. */
  stopAtPositional?: boolean;
  /** Exit status of a usage error. */
  exitCode?: number;
}

export interface ParsedFlags {
  /** Only what was given; a list in the order it was given. */
  values: Record<string, string | boolean | number | string[]>;
  positionals: string[];
}

/** Docker's flag grammar: `--flag=v`, `--flag v`, `-it`, `-eA=b`, `--bool=false`, `--`. Throws SlipwayError USAGE. */
export function parseFlags(argv: readonly string[], rules: FlagRules): ParsedFlags {
  const values: ParsedFlags["values"] = Object.create(null);
  const positionals: string[] = [];
  const shorts = new Map(Object.entries(rules.flags).flatMap(([name, { short }]) => (short ? [[short, name]] : [])));
  let at = 0;

  const fail = (message: string, hint = `See '${rules.command} --help'.`): never => {
    throw new SlipwayError("USAGE", message, { hint, exitCode: rules.exitCode ?? 1 });
  };

  /** `spelled` is the flag as the person wrote it; `attached` is what followed it in the same argument. */
  const set = (name: string, spelled: string, attached: string | undefined): void => {
    const flag = rules.flags[name]!;
    if (flag.unsupported !== undefined) fail(`${spelled} is not supported: ${flag.unsupported}`);
    if (flag.type === "bool") {
      values[name] = attached === undefined ? true : parseBool(attached, spelled);
      return;
    }
    if (attached === undefined && at >= argv.length) fail(`flag needs an argument: ${spelled}`);
    const text = attached ?? argv[at++]!;
    if (flag.type === "string") values[name] = text;
    else if (flag.type === "list") values[name] = [...((values[name] as string[] | undefined) ?? []), text];
    else values[name] = parseInteger(text, spelled);
  };

  const parseBool = (text: string, spelled: string): boolean => {
    if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
    if (!/^(0|f|F|false|FALSE|False)$/.test(text)) fail(`invalid argument "${text}" for ${spelled}: not a boolean`);
    return false;
  };

  const parseInteger = (text: string, spelled: string): number => {
    if (!/^[+-]?\d+$/.test(text)) fail(`invalid argument "${text}" for ${spelled}: not a whole number`);
    return Number(text);
  };

  while (at < argv.length) {
    const argument = argv[at++]!;
    if (argument === "--") {
      positionals.push(...argv.slice(at));
      break;
    }
    if (argument.startsWith("--")) {
      const equals = argument.indexOf("=");
      const name = argument.slice(2, equals < 0 ? undefined : equals);
      if (!Object.hasOwn(rules.flags, name)) {
        const near = nearest(name, Object.keys(rules.flags));
        fail(`unknown flag: --${name}`, near === undefined ? undefined : `Did you mean --${near}?`);
      }
      set(name, `--${name}`, equals < 0 ? undefined : argument.slice(equals + 1));
    } else if (argument.startsWith("-") && argument.length > 1) {
      for (let letter = 1; letter < argument.length; letter++) {
        const spelled = `-${argument[letter]}`;
        const name = shorts.get(argument[letter]!);
        if (name === undefined) fail(`unknown shorthand flag: '${argument[letter]}' in ${argument}`);
        const rest = argument.slice(letter + 1);
        if (rules.flags[name!]!.type === "bool" && !rest.startsWith("=")) {
          set(name!, spelled, undefined);
          continue;
        }
        set(name!, spelled, rest === "" ? undefined : rest.replace(/^=/, ""));
        break;
      }
    } else if (rules.stopAtPositional) {
      positionals.push(argument, ...argv.slice(at));
      break;
    } else positionals.push(argument);
  }
  return { values, positionals };
}
