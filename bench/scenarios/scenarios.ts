import type { Scenario } from "../Bench.ts";
import { appScenarios } from "./app.ts";
import { containerScenarios } from "./containers.ts";
import { largeScenarios } from "./large.ts";
import { registryScenarios } from "./registry.ts";
import { rootlessScenarios } from "./rootless.ts";
import { run } from "./run.ts";
import { smallScenarios } from "./small.ts";

export const scenarios: readonly Scenario[] = [
  ...smallScenarios,
  run,
  ...rootlessScenarios,
  ...containerScenarios,
  ...appScenarios,
  ...largeScenarios,
  ...registryScenarios,
];
