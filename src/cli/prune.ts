import { readSync } from "node:fs";
import type { Space } from "../engine/build/cacheLimits.ts";
import { limitsOf, parseSpace } from "../engine/build/cacheLimits.ts";
import type { Engine } from "../engine/Engine.ts";
import { isErrno } from "../linux/LinuxError.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import type { Limits } from "../store/collector.ts";
import { type Call, flag, text } from "./Command.ts";
import type { Flag } from "./flags.ts";
import { humanSize } from "./render/humanSize.ts";

export const forceFlag: Flag = { type: "bool", short: "f", help: "Do not ask" };

export const limitFlags: Record<string, Flag> = {
  "max-used-space": { type: "string", help: "Bring the cache down to this size, as 10GB or 20%" },
  "keep-storage": { type: "string", help: "The same, by its old name" },
  "reserved-space": { type: "string", help: "Leave so much of the cache in any case" },
  "min-free-space": { type: "string", help: "Go on until so much of the disk is free" },
};

/** Docker's question; yes without asking where `--force` is given. Standard input that ends says no. */
export function isConfirmed(call: Call, warning: string): boolean {
  if (flag(call, "force")) return true;
  call.out(`WARNING! ${warning}Are you sure you want to continue? [y/N] `);
  return /^\s*y\s*$/i.test(readLine());
}

export function printDeleted(call: Call, title: string, deleted: readonly string[]): void {
  if (deleted.length > 0) call.out(`${title}\n${deleted.map((line) => `${line}\n`).join("")}\n`);
}

export function printFreed(call: Call, bytes: number): void {
  call.out(`Total reclaimed space: ${humanSize(bytes, 4)}\n`);
}

/** @throws SlipwayError `USAGE` */
export function limitsFrom(call: Call, engine: Engine): Limits {
  const space = (name: string): Space | undefined => {
    const value = text(call, name);
    if (value === undefined) return undefined;
    const parsed = parseSpace(value);
    if (parsed !== undefined) return parsed;
    throw new SlipwayError(
      "USAGE",
      `invalid argument ${JSON.stringify(value)} for --${name}: it is a size like 10GB or 20%`,
    );
  };
  const settings: Record<string, Space> = {};
  const add = (name: string, value: Space | undefined): void => {
    if (value !== undefined) settings[name] = value;
  };
  add("maxUsedSpace", space("max-used-space") ?? space("keep-storage"));
  add("reservedSpace", space("reserved-space"));
  add("minFreeSpace", space("min-free-space"));
  return limitsOf(settings, engine.store.root);
}

function readLine(): string {
  const byte = new Uint8Array(1);
  let line = "";
  for (;;) {
    try {
      if (readSync(0, byte, 0, 1, null) === 0) return line;
    } catch (error) {
      if (isErrno(error, "EOF")) return line;
      if (!isErrno(error, "EAGAIN")) throw error;
      Bun.sleepSync(20);
      continue;
    }
    if (byte[0] === 10) return line;
    line += String.fromCharCode(byte[0] as number);
  }
}
