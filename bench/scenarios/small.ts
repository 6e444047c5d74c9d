import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Bench, Scenario } from "../Bench.ts";
import { buildContenders } from "./buildContenders.ts";

const hello: Scenario = {
  name: "noop",
  title: "build of hello, nothing to do",
  contenders(bench) {
    writeFileSync(join(bench.folder, "Dockerfile"), 'FROM busybox\nCMD ["echo", "hello"]\n');
    return buildContenders(bench, "bench-hello");
  },
};

const stepsNoop: Scenario = {
  name: "noop-steps",
  title: "20 RUN steps, nothing to do",
  contenders(bench) {
    writeSteps(bench);
    return buildContenders(bench, "bench-steps");
  },
};

const steps: Scenario = {
  name: "steps",
  title: "20 RUN steps, cold",
  contenders(bench) {
    writeSteps(bench);
    return buildContenders(bench, "bench-steps", { flags: ["--no-cache"] });
  },
};

function writeSteps({ folder }: Bench): void {
  const lines = Array.from({ length: 20 }, (_, step) => `RUN echo ${step} > /file${step}`);
  writeFileSync(join(folder, "Dockerfile"), ["FROM busybox", ...lines, ""].join("\n"));
}

/** Builds of next to no files: what the tool itself costs. */
export const smallScenarios = [hello, stepsNoop, steps];
