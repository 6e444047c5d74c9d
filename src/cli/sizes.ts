import { SlipwayError } from "../oci/SlipwayError.ts";

/** `64m`, `1g`, plain bytes; powers of 1024 as docker reads them. @throws SlipwayError `USAGE` */
export function bytes(value: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([bkmgtp]?)(i?b)?$/i.exec(value.trim());
  if (match === null) {
    throw new SlipwayError("USAGE", `invalid size ${JSON.stringify(value)}`, {
      hint: "For example 64m.",
      exitCode: 125,
    });
  }
  return Math.floor(Number(match[1]) * 1024 ** "bkmgtp".indexOf((match[2] || "b").toLowerCase()));
}
