import type { Scenario } from "../Bench.ts";
import { appScenarios } from "./app.ts";
import { largeScenarios } from "./large.ts";
import { pull } from "./pull.ts";
import { run } from "./run.ts";
import { smallScenarios } from "./small.ts";

export const scenarios: readonly Scenario[] = [...smallScenarios, run, ...appScenarios, ...largeScenarios, pull];
