import { SlipwayError } from "../oci/SlipwayError.ts";
import type { GivenFlags } from "./flags.ts";
import { parseGoDuration } from "./goDuration.ts";
import type { InstructionOf } from "./instruction.ts";

type Healthcheck = Omit<InstructionOf<"healthcheck">, "kind" | "range" | "original" | "comments">;

// Docker's least; a check that runs more often would only measure itself.
const MINIMUM = 1e6;

/** `[type, ...command]` of HEALTHCHECK with its flags. @throws SlipwayError `INVALID_INSTRUCTION` */
export function parseHealthcheck(values: readonly string[], json: boolean, flags: GivenFlags): Healthcheck {
  const [written = "", ...command] = values;
  const type = written.toUpperCase();
  if (type === "NONE") {
    if (command.length > 0) throw invalid("HEALTHCHECK NONE takes no arguments");
    if (flags.names.length > 0) throw invalid(`unknown flag: --${flags.names[0]}`);
    return { test: ["NONE"] };
  }
  if (type !== "CMD") throw invalid(`Unknown type ${JSON.stringify(type)} in HEALTHCHECK (try CMD)`);
  const words = json || command.length === 0 ? command : [command.join(" ")];
  if (words.length === 0) throw invalid("Missing command after HEALTHCHECK CMD");
  return {
    test: [json ? "CMD" : "CMD-SHELL", ...words],
    ...field("interval", interval("interval", flags)),
    ...field("timeout", interval("timeout", flags)),
    ...field("startPeriod", interval("start-period", flags)),
    ...field("startInterval", interval("start-interval", flags)),
    ...field("retries", retries(flags.string("retries"))),
  };
}

/** Nanoseconds. @throws SlipwayError `INVALID_INSTRUCTION` */
export function parseInterval(name: string, text: string): number {
  const value = parseGoDuration(text);
  if (value === undefined)
    throw invalid(`time: invalid duration ${JSON.stringify(text)}`, "A duration is written like 30s or 1m30s.");
  if (value !== 0 && value < MINIMUM) throw invalid(`Interval ${JSON.stringify(name)} cannot be less than 1ms`);
  return value;
}

function interval(name: string, flags: GivenFlags): number | undefined {
  const text = flags.string(name);
  return text === undefined || text === "" ? undefined : parseInterval(name, text);
}

function retries(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  if (!/^[-+]?\d+$/.test(text)) throw invalid(`--retries must be a whole number, not ${JSON.stringify(text)}`);
  const value = Number(text);
  if (value < 0) throw invalid(`--retries cannot be negative (${value})`);
  if (value > 0x7fffffff) throw invalid(`--retries ${text} is out of range`);
  return value;
}

function field<K extends string>(key: K, value: number | undefined): Partial<Record<K, number>> {
  return (value === undefined ? {} : { [key]: value }) as Partial<Record<K, number>>;
}

function invalid(message: string, hint?: string): SlipwayError {
  return new SlipwayError("INVALID_INSTRUCTION", message, hint === undefined ? {} : { hint });
}
