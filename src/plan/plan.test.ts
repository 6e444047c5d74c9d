import { expect, test } from "bun:test";
import type { Dockerfile, Instruction, Stage } from "../dockerfile/instruction.ts";
import type { BaseImage } from "./graph.ts";
import { planBuild } from "./plan.ts";

const range = { file: "Dockerfile", start: 1, end: 1 };
const buildPlatform = { os: "linux", architecture: "amd64" };
const layer = `sha256:${"1".repeat(64)}` as const;

function stage(name: string, image: string, instructions: Instruction[]): Stage {
  return { name, from: { kind: "from", image, range, original: `FROM ${image}`, comments: [] }, instructions };
}

function file(...stages: Stage[]): Dockerfile {
  return { file: "Dockerfile", text: "", directives: { escape: "\\" }, globalArgs: [], stages, warnings: [] };
}

function run(text: string): Instruction {
  const command = { shell: true, words: [text], files: [] };
  return { kind: "run", range, original: `RUN ${text}`, comments: [], command, mounts: [], device: [] };
}

function copyFrom(from: string): Instruction {
  const source = { paths: ["/x"], heredocs: [] };
  const flags = { link: false, parents: false, exclude: [] };
  return {
    kind: "copy",
    range,
    original: `COPY --from=${from} /x /y`,
    comments: [],
    source,
    dest: "/y",
    from,
    ...flags,
  };
}

async function resolve(reference: string): Promise<BaseImage> {
  const config = { architecture: "amd64", os: "linux", rootfs: { type: "layers" as const, diff_ids: [layer] } };
  return { reference, imageID: `sha256:${"0".repeat(64)}`, platform: buildPlatform, config };
}

test("only images that the target needs are asked for", async () => {
  const asked: string[] = [];
  const dockerfile = file(
    stage("build", "one", [run("make")]),
    stage("unused", "two", [run("never")]),
    stage("", "three", [copyFrom("build")]),
  );
  const graph = await planBuild(dockerfile, { buildPlatform }, (reference) => {
    asked.push(reference);
    return resolve(reference);
  });
  expect(asked.sort()).toEqual(["one", "three"]);
  expect(graph.steps.filter((step) => step.kind !== "image").map((step) => step.name)).toEqual([
    "[build 2/2] RUN make",
    "[stage-2 2/2] COPY --from=build /x /y",
  ]);
});

test("history shows the ARGs that a RUN may have used", async () => {
  const arg: Instruction = { kind: "arg", range, original: "ARG A=b", comments: [], args: [{ key: "A", value: "b" }] };
  const graph = await planBuild(file(stage("", "scratch", [arg, run("echo $A")])), { buildPlatform }, resolve);
  expect(graph.target.history.map((entry) => entry.created_by)).toEqual([
    "ARG A=b",
    "RUN |1 A=b /bin/sh -c echo $A # buildkit",
  ]);
});

test("stages that copy from each other are refused by name", async () => {
  const dockerfile = file(stage("stage0", "busybox", [copyFrom("stage0")]));
  await expect(planBuild(dockerfile, { buildPlatform }, resolve)).rejects.toThrow(
    "circular dependency detected on stage: stage0",
  );
});

test("a target that is not there is answered with the nearest stage", async () => {
  const plan = planBuild(file(stage("build", "scratch", [])), { buildPlatform, target: "biuld" }, resolve);
  await expect(plan).rejects.toMatchObject({ code: "TARGET_NOT_FOUND" });
});

test("an image that files are taken from is never the target", async () => {
  const mount: Instruction = {
    ...(run("true") as Extract<Instruction, { kind: "run" }>),
    mounts: [{ type: "bind", from: "other", target: "/x" }],
  };
  for (const instruction of [mount, copyFrom("other")]) {
    const graph = await planBuild(file(stage("", "base", [instruction])), { buildPlatform }, resolve);
    expect(graph.target.history).toHaveLength(1);
  }
});
