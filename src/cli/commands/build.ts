import { writeFileSync } from "node:fs";
import { csvFields } from "../../dockerfile/csvFields.ts";
import type { BuildOptions } from "../../engine/Engine.ts";
import type { OutputSpec } from "../../engine/build/outputs/OutputSpec.ts";
import { formatFullPlatform, normalizePlatform, parsePlatform } from "../../oci/platform.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { type Call, type Command, flag, given, keyValue, list, number, text } from "../Command.ts";
import { buildProgress } from "../buildProgress.ts";
import { ownTerminal } from "../ownTerminal.ts";
import { isTerminal } from "../isTerminal.ts";

const later = (what: string) => ({ type: "string" as const, help: "", unsupported: what });

export const command: Command = {
  usage: "[OPTIONS] PATH | URL | -",
  summary: "Build an image from a Dockerfile and a directory of files",
  example: "slipway build -t hello .",
  min: 1,
  max: 1,
  flags: {
    tag: { type: "list", short: "t", help: "Name of the image, name:tag (may be repeated)" },
    file: {
      type: "string",
      short: "f",
      help: "Path or URL of the Dockerfile (default: PATH/Dockerfile; - reads it from standard input)",
    },
    "build-arg": { type: "list", help: "Value of an ARG, NAME=VALUE; NAME alone takes it from the environment" },
    target: { type: "string", help: "Stage to build (default: the last)" },
    label: { type: "list", help: "Label of the image, KEY=VALUE" },
    "source-date-epoch": {
      type: "string",
      help: "SOURCE_DATE_EPOCH: seconds since 1970 that no time in the image is later than, or context (default: the environment's)",
    },
    "no-cache": { type: "bool", help: "Run every step anew" },
    "no-cache-filter": { type: "list", help: "Stages whose steps run anew" },
    pull: { type: "bool", help: "Ask the registry for base images even if they are here" },
    platform: { type: "list", help: "Platforms of the result, os/architecture, comma-separated (may be repeated)" },
    network: {
      type: "string",
      help: "Network of RUN steps: default (the host's), host, none, pasta, container:NAME or a network",
    },
    "add-host": { type: "list", help: "Line of /etc/hosts in RUN steps, name:address" },
    secret: {
      type: "list",
      help: "Secret for RUN --mount=type=secret: id=NAME[,src=FILE|,env=VARIABLE][,cache=content]",
    },
    ssh: { type: "list", help: "Agent for RUN --mount=type=ssh: default, ID=SOCKET, or ID=KEY[,KEY]" },
    allow: { type: "list", help: "Lets the Dockerfile ask for network.host or security.insecure" },
    "shm-size": { type: "string", help: "Size of /dev/shm in RUN steps" },
    ulimit: { type: "list", help: "Limit of RUN steps, NAME=SOFT[:HARD]" },
    progress: { type: "string", help: "auto, plain, tty, quiet or rawjson" },
    quiet: { type: "bool", short: "q", help: "Print the image ID alone" },
    iidfile: { type: "string", help: "File that gets the image ID" },
    jobs: { type: "int", help: "Steps that work at the same time (default: the number of processors)" },
    "build-context": {
      type: "list",
      help: "Named context, NAME=DIRECTORY, a git repository, a URL, docker-image://IMAGE or oci-layout://PATH[:TAG|@DIGEST]",
    },
    call: { type: "string", help: "Instead of building: check, outline or targets; ,format=json" },
    check: { type: "bool", help: "Check the Dockerfile and build nothing; exit status 1 when something is found" },
    "print-context": { type: "bool", help: "List what is in the build context, and which line kept or dropped it" },
    explain: { type: "bool", help: "Say for each step why it ran" },
    "verify-reproducible": {
      type: "bool",
      help: "Build a second time without the cache, and say which files differ; exit status 1 when some do",
    },
    "fail-on-miss": { type: "bool", help: "Fail, and say why, where a step is not in the cache" },
    "on-error": { type: "string", help: "shell: open a shell in the step that fails, as it left things" },
    load: { type: "bool", help: "The image goes to the store, beside what --output says" },
    rm: { type: "bool", help: "Accepted: temporary containers are always removed" },
    "force-rm": { type: "bool", help: "Accepted: temporary containers are always removed" },
    push: { type: "bool", help: "The same as --output type=registry" },
    output: {
      type: "list",
      short: "o",
      help: "Where the result goes: a directory, or type=image|oci|docker|local|tar|cacheonly,dest=PATH (may be repeated)",
    },
    "cache-from": {
      type: "list",
      help: "Cache of another build: IMAGE, type=registry,ref=IMAGE or type=local,src=DIRECTORY[,tag=TAG]",
    },
    "cache-to": {
      type: "list",
      help: "Where the build's cache goes: type=inline, type=registry,ref=IMAGE or type=local,dest=DIRECTORY; mode=max: every step's",
    },
    attest: later("attestations come in a later version"),
    sbom: later("attestations come in a later version"),
    provenance: later("attestations come in a later version"),
    "metadata-file": { type: "string", help: "File that gets what is known of the result, as JSON" },
    squash: { type: "bool", help: "Make one layer of all that the build adds to its base image" },
    annotation: { type: "list", help: "Annotation of the image, [LEVEL:]KEY=VALUE" },
    policy: later("source policies come in a later version"),
    builder: later("there is one builder, this program"),
    resource: later("build steps run without a cgroup of their own"),
    isolation: later("that is for Windows containers"),
    "security-opt": later(
      "ask for it in the Dockerfile, RUN --security=insecure, and allow it by --allow security.insecure",
    ),
    ...Object.fromEntries(
      ["memory", "memory-swap", "cpu-period", "cpu-quota", "cpu-shares", "cpuset-cpus", "cpuset-mems"].map((name) => [
        name,
        later("build steps run without a cgroup of their own"),
      ]),
    ),
    compress: { type: "bool", help: "Accepted: nothing is sent anywhere" },
    debug: { type: "bool", short: "D", help: "Say more of how it works, and more of errors" },
    "cgroup-parent": later("build steps run without a cgroup of their own"),
  },
  async run(call) {
    const options = {
      context: call.positionals[0] as string,
      tags: list(call, "tag"),
      buildArgs: {
        ...defaultEpoch(),
        ...Object.fromEntries(list(call, "build-arg").map(buildArg)),
        ...given("SOURCE_DATE_EPOCH", text(call, "source-date-epoch")),
      },
      labels: Object.fromEntries(list(call, "label").map(keyValue)),
      noCache: flag(call, "no-cache"),
      noCacheFilter: list(call, "no-cache-filter").flatMap((each) => each.split(",")),
      pull: flag(call, "pull"),
      addHosts: list(call, "add-host"),
      secrets: list(call, "secret").map(secret),
      ssh: list(call, "ssh").map(sshSource),
      ...(await caches(call)),
      verifyReproducible: flag(call, "verify-reproducible"),
      failOnMiss: flag(call, "fail-on-miss"),
      squash: flag(call, "squash"),
      ...given("shellOnError", shellOnError(text(call, "on-error"))),
      allow: list(call, "allow")
        .flatMap((each) => each.split(","))
        .filter((each) => each !== "buildx.local.delete")
        .map(entitlement),
      ulimits: list(call, "ulimit"),
      ...given("shmSize", await shmSize(text(call, "shm-size"))),
      ...given("target", text(call, "target")),
      ...platforms(list(call, "platform")),
      ...given("network", text(call, "network")),
      ...given("jobs", number(call, "jobs")),
      ...given("file", text(call, "file")),
      buildContexts: Object.fromEntries(list(call, "build-context").map(namedContext)),
      stdin: () => Bun.stdin.stream(),
    };
    const request = callOf(call);
    if (request !== undefined) return describe(call, options, request);
    const outputs = await buildOutputs(call);
    const progress = await buildProgress(call);
    const engine = await call.engine((event) => progress.event(event));
    const { build } = await import("../../engine/build/build.ts");
    let result: Awaited<ReturnType<typeof build>>;
    try {
      result = await build(engine, { ...options, ...given("outputs", outputs) });
    } finally {
      progress.finish();
    }
    const iidfile = text(call, "iidfile");
    if (iidfile !== undefined) writeFileSync(iidfile, result.imageID);
    const metadata = text(call, "metadata-file");
    if (metadata !== undefined) writeFileSync(metadata, metadataText(result.metadata));
    if (result.warnings.length > 0 && !flag(call, "quiet")) {
      const { violationText } = await import("../../dockerfile/checks/violations.ts");
      const { humanCount } = await import("../render/humanCount.ts");
      call.err(`\n ${humanCount(result.warnings.length, "warning", "warnings")} found (--check shows more):\n`);
      for (const warning of result.warnings) call.err(` - ${violationText(warning)}\n`);
    }
    if (isImage(outputs)) call.out(`${result.imageID}\n`);
    if (result.verification === undefined) return 0;
    const { verificationText } = await import("../render/verificationText.ts");
    call.err(verificationText(result.verification));
    return result.verification.differences.length === 0 ? 0 : 1;
  },
};

/** What `-o`, `--load` and `--push` ask for; undefined where none is there. */
async function buildOutputs(call: Call): Promise<OutputSpec[] | undefined> {
  const texts = list(call, "output");
  if (flag(call, "load")) texts.push("type=docker");
  if (flag(call, "push")) texts.push("type=registry");
  const annotated = list(call, "annotation");
  if (texts.length === 0 && annotated.length === 0) return undefined;
  const [{ parseOutput }, { parseAnnotations }, { parseReference }] = await Promise.all([
    import("../../engine/build/outputs/parseOutput.ts"),
    import("../../engine/build/outputs/annotations.ts"),
    import("../../oci/reference.ts"),
  ]);
  const shared = {
    tags: list(call, "tag").map((tag) => parseReference(tag).canonical),
    annotations: parseAnnotations(annotated),
  };
  if (texts.length === 0) texts.push("type=image");
  const outputs = texts.map((each) => parseOutput(each, shared));
  const { checkDeletion } = await import("../../engine/build/outputs/checkDeletion.ts");
  const allowed = list(call, "allow").some((each) => each.split(",").includes("buildx.local.delete"));
  if (!allowed) for (const output of outputs) checkDeletion(output, process.cwd());
  const streams = outputs.filter((output) => "dest" in output && output.dest === "-");
  if (streams.length > 1)
    throw new SlipwayError("INVALID_OUTPUT", "two outputs cannot both be written to standard output");
  if (streams.length === 1 && isTerminal(1)) {
    const [{ type }] = streams as [OutputSpec];
    throw new SlipwayError(
      "INVALID_OUTPUT",
      `dest file is required for ${type} exporter. refusing to write to console`,
      { hint: `For example -o type=${type},dest=result.tar` },
    );
  }
  return outputs;
}

/** Whether the ID says something about the outputs, and standard output is free for it. */
function isImage(outputs: readonly OutputSpec[] | undefined): boolean {
  if (outputs === undefined) return true;
  if (outputs.some((output) => "dest" in output && output.dest === "-")) return false;
  return outputs.some(({ type }) => type === "image" || type === "oci" || type === "docker");
}

/** By name, as buildx writes it. */
function metadataText(metadata: Record<string, unknown>): string {
  return JSON.stringify(Object.fromEntries(Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1))), null, 2);
}

interface Request {
  what: "check" | "outline" | "targets" | "context";
  json: boolean;
}

/** What is asked for instead of a build. */
function callOf(call: Call): Request | undefined {
  if (flag(call, "print-context")) return { what: "context", json: false };
  const [name, ...fields] = (text(call, "call") ?? (flag(call, "check") ? "check" : "build")).split(",");
  const wrong = (why: string): SlipwayError =>
    new SlipwayError("USAGE", `--call ${text(call, "call")}: ${why}`, {
      hint: "It takes build, check, outline or targets, and ,format=json after it.",
    });
  for (const field of fields)
    if (field !== "format=json" && field !== "format=text") throw wrong(`${JSON.stringify(field)} is not known`);
  // The names that BuildKit's frontend gives them count as well.
  const what = { lint: "check", "frontend.lint": "check" }[name as string] ?? name?.replace(/^frontend\./, "");
  if (what === "build") return undefined;
  if (what !== "check" && what !== "outline" && what !== "targets") throw wrong("there is no such call");
  return { what, json: fields.includes("format=json") };
}

async function describe(call: Call, options: BuildOptions, { what, json }: Request): Promise<number> {
  const [engine, verbs, texts] = await Promise.all([
    call.engine(),
    import("../../engine/build/describeBuild.ts"),
    import("../render/buildDescriptions.ts"),
  ]);
  switch (what) {
    case "check": {
      const { source, violations } = await verbs.checkBuild(engine, options);
      call.out(json ? texts.checkJson(violations, options.file ?? "Dockerfile", source) : texts.checkText(violations));
      return violations.length === 0 ? 0 : 1;
    }
    case "outline": {
      const { source, outline } = await verbs.outline(engine, options);
      call.out(json ? texts.outlineJson(outline, source) : texts.outlineText(outline));
      return 0;
    }
    case "targets": {
      const { source, targets } = await verbs.targets(engine, options);
      call.out(json ? texts.targetsJson(targets, source) : texts.targetsText(targets));
      return 0;
    }
    case "context":
      call.out(texts.contextText(await verbs.listContext(engine, options)));
      return 0;
  }
}

function namedContext(argument: string): [string, string] {
  const [name, value] = keyValue(argument);
  if (name !== "" && value !== "") return [name, value];
  throw new SlipwayError("USAGE", `--build-context ${argument}: it must say NAME=VALUE`, {
    hint: "For example --build-context docs=../docs",
  });
}

/** buildx: the environment's, unless a build argument says another. */
function defaultEpoch(): Record<string, string> {
  const { SOURCE_DATE_EPOCH = "" } = process.env;
  return SOURCE_DATE_EPOCH === "" ? {} : { SOURCE_DATE_EPOCH };
}

function buildArg(argument: string): [string, string | undefined] {
  const equals = argument.indexOf("=");
  return equals < 0 ? [argument, process.env[argument]] : [argument.slice(0, equals), argument.slice(equals + 1)];
}

/**
 * buildx: `id=NAME,src=FILE`, `id=NAME,env=VARIABLE`, `type=env,…`; `id=NAME` is the variable of that name, else the file. Ours:
 * `cache=content`.
 */
function secret(argument: string): { id: string; source?: string; env?: string; inKey?: boolean } {
  const fields: Record<string, string> = {};
  for (const field of csvFields(argument)) {
    const [key, value] = keyValue(field);
    const name = key.toLowerCase();
    if (!["id", "src", "source", "env", "type", "cache"].includes(name) || !field.includes("=")) {
      throw new SlipwayError("USAGE", `--secret ${argument}: unexpected ${JSON.stringify(field)}`, {
        hint: "It takes id, src, env, type and cache.",
      });
    }
    fields[name === "src" ? "source" : name] = value;
  }
  const { id = "", source = "", env = "", type = "", cache } = fields;
  if (id === "") {
    throw new SlipwayError("USAGE", `--secret ${argument}: it must say id=NAME`, {
      hint: "For example --secret id=token,src=token.txt",
    });
  }
  if (type !== "" && type !== "env" && type !== "file")
    throw new SlipwayError("USAGE", `--secret ${argument}: unsupported type ${JSON.stringify(type)}`);
  if (cache !== undefined && cache !== "content")
    throw new SlipwayError("USAGE", `--secret ${argument}: cache=${cache} is not known`, {
      hint: "cache=content runs the steps that use the secret again when it changes; without it they stay cached.",
    });
  const about = { id, ...(cache === undefined ? {} : { inKey: true }) };
  if (env !== "") return { ...about, env };
  if (type === "env" && source !== "") return { ...about, env: source };
  if (source !== "") return { ...about, source };
  return process.env[id] === undefined ? { ...about, source: id } : { ...about, env: id };
}

/** buildx: `ID`, `ID=SOCKET`, `ID=KEY[,KEY…]`. */
function sshSource(argument: string): { id: string; paths: string[] } {
  const [id, source] = keyValue(argument);
  if (id !== "") return { id, paths: source === "" ? [] : source.split(",") };
  throw new SlipwayError("USAGE", `--ssh ${argument}: it must say an id`, { hint: "For example --ssh default" });
}

function entitlement(argument: string): string {
  if (argument === "network.host" || argument === "security.insecure") return argument;
  throw new SlipwayError("USAGE", `--allow ${argument} is not known`, {
    hint: "It takes network.host and security.insecure.",
  });
}

async function caches(call: Call): Promise<Pick<BuildOptions, "cacheFrom" | "cacheTo">> {
  const [from, to] = [list(call, "cache-from"), list(call, "cache-to")];
  if (from.length === 0 && to.length === 0) return {};
  const { parseCacheFrom, parseCacheTo } = await import("../../engine/build/cache/parseCacheSpec.ts");
  return { cacheFrom: from.map(parseCacheFrom), cacheTo: to.map(parseCacheTo) };
}

/** buildx: each once. */
function platforms(given: readonly string[]): Pick<BuildOptions, "platform" | "platforms"> {
  const all = given.flatMap((each) => each.split(",")).map((each) => each.trim());
  const known = new Map(all.map((each) => [formatFullPlatform(normalizePlatform(parsePlatform(each))), each]));
  const [first, ...others] = known.values();
  if (first === undefined) return {};
  return others.length === 0 ? { platform: first } : { platforms: [first, ...others] };
}

function shellOnError(value: string | undefined): ReturnType<typeof ownTerminal> | undefined {
  if (value === undefined) return undefined;
  if (value === "shell") return ownTerminal("--on-error=shell");
  throw new SlipwayError("USAGE", `--on-error ${value} is not known`, { hint: "It takes shell." });
}

async function shmSize(value: string | undefined): Promise<number | undefined> {
  if (value === undefined) return undefined;
  return (await import("../createFlags.ts")).bytes(value);
}
