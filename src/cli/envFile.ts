import { readFileSync } from "node:fs";
import { SlipwayError } from "../oci/SlipwayError.ts";

/**
 * The entries of a file of variables or labels, Docker's form: `NAME=VALUE` or `NAME` a line; blank lines and those that begin with # say
 * nothing; blanks before the name are left out, everything after the first = is the value. @throws SlipwayError `USAGE`
 */
export function readEntries(path: string, flag: string): string[] {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new SlipwayError("USAGE", `${flag} ${path} cannot be read`, { cause: error, exitCode: 125 });
  }
  const fail = (why: string): never => {
    throw new SlipwayError("USAGE", `invalid ${flag} ${path}: ${why}`, { exitCode: 125 });
  };
  let content: string;
  try {
    content = new TextDecoder("utf-8", { fatal: true }).decode(bytes); // takes a byte order mark away
  } catch {
    return fail("it contains invalid UTF-8 bytes");
  }
  const entries: string[] = [];
  for (const [index, raw] of content.split(/\r?\n/).entries()) {
    const line = raw.trimStart();
    if (line === "" || line.startsWith("#")) continue;
    const equals = line.indexOf("=");
    const name = equals < 0 ? line.trim() : line.slice(0, equals);
    if (name === "") fail(`line ${index + 1}: no variable name`);
    if (/\s/.test(name)) fail(`line ${index + 1}: variable '${name}' contains whitespaces`);
    entries.push(equals < 0 ? name : line);
  }
  return entries;
}
