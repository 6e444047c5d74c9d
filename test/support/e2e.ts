import { test } from "bun:test";
import { cannotRun, type Slipway, withSlipway } from "./withSlipway.ts";

const minute = 60_000;

/** A test against dist/slipway on a store of its own. Skipped, with the reason in its name, where the machine cannot run it. */
export function e2e(
  name: string,
  work: (slipway: Slipway) => Promise<void>,
  options: { debian?: boolean; minutes?: number } = {},
): void {
  const reason = cannotRun();
  if (reason !== undefined) test.skip(`${name} (skipped: ${reason})`, () => {});
  else test(name, () => withSlipway(work, options), (options.minutes ?? 1) * minute);
}
