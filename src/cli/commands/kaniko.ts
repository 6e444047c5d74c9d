import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { noAnnotations } from "../../engine/build/outputs/annotations.ts";
import type { CacheExport, CacheImport } from "../../engine/build/cache/CacheSpec.ts";
import type { ImageForm, OutputSpec } from "../../engine/build/outputs/OutputSpec.ts";
import type { BuildOptions } from "../../engine/Engine.ts";
import { parseGoDuration } from "../../dockerfile/goDuration.ts";
import { parseCompression } from "../../layer/compressLayer.ts";
import { parseReference } from "../../oci/reference.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { buildProgress } from "../buildProgress.ts";
import { type Call, type Command, flag, given, keyValue, list, number, text } from "../Command.ts";
import { kanikoContext } from "../kaniko/kanikoContext.ts";
import { kanikoFlags } from "../kaniko/kanikoFlags.ts";
import { kanikoRegistries } from "../kaniko/kanikoRegistries.ts";

/** Where kaniko's image has its credentials. */
const DOCKER_CONFIG = "/kaniko/.docker";

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Build an image and push it, by the flags of kaniko's executor",
  example: "slipway kaniko --context=dir:///workspace --destination=registry.example/app:1 --cache",
  min: 0,
  max: 0,
  flags: kanikoFlags,
  async run(asked) {
    const call = withOldNames(asked);
    const { env } = process;
    if (env.DOCKER_CONFIG === undefined && existsSync(join(DOCKER_CONFIG, "config.json")))
      env.DOCKER_CONFIG = DOCKER_CONFIG;
    const destinations = list(call, "destination").map((each) => parseReference(each).canonical);
    const noPush = flag(call, "no-push") || /^(1|t|true)$/i.test(env.KANIKO_NO_PUSH ?? "");
    check(call, destinations, noPush);
    const progress = await buildProgress({ ...call, values: { ...call.values, progress: progressOf(call) } });
    const opened = await call.engine((event) => progress.event(event));
    const lease = opened.store.lease("kaniko");
    try {
      const directory = (): string => lease.directory();
      const config = kanikoRegistries(call, opened.config, { destinations, folder: directory, env });
      if (list(call, "ignore-path").length > 0)
        opened.emit({
          type: "warning",
          message:
            "--ignore-path has no effect: nothing of this container is in the image, and all that the steps write is",
        });
      const { linux } = opened.store;
      const form = imageForm(call);
      const outputs = outputsOf(call, { destinations, noPush, form, directory });
      const options: BuildOptions = {
        ...(await kanikoContext(call, { linux, directory, env })),
        tags: destinations,
        ...given("target", text(call, "target")),
        ...given("platform", text(call, "custom-platform")),
        buildArgs: {
          ...given("SOURCE_DATE_EPOCH", flag(call, "reproducible") ? "0" : env.SOURCE_DATE_EPOCH || undefined),
          ...Object.fromEntries(list(call, "build-arg").map(buildArg)),
        },
        labels: Object.fromEntries(list(call, "label").map(keyValue)),
        ...cacheOf(call, destinations),
        noCacheFilter: [],
        pull: true,
        addHosts: [],
        secrets: [],
        squash: flag(call, "single-snapshot"),
        outputs,
      };
      const { build } = await import("../../engine/build/build.ts");
      const { metadata } = await build({ ...opened, config }, options).finally(() => progress.finish());
      writeDigests(call, destinations, String(metadata["containerimage.digest"] ?? ""));
      return 0;
    } finally {
      lease.release();
    }
  },
};

function withOldNames(call: Call): Call {
  const values = { ...call.values };
  for (const [old, name] of [
    ["snapshotMode", "snapshot-mode"],
    ["customPlatform", "custom-platform"],
    ["tarPath", "tar-path"],
  ] as const) {
    const value = values[old];
    if (value !== undefined) values[name] = value;
  }
  return { ...call, values };
}

/** kaniko's own rules. */
function check(call: Call, destinations: readonly string[], noPush: boolean): void {
  const usage = (message: string): SlipwayError => new SlipwayError("USAGE", message);
  if (!noPush && destinations.length === 0) throw usage("you must provide --destination, or use --no-push");
  for (const name of ["image-name-with-digest-file", "image-name-tag-with-digest-file"])
    if (destinations.length === 0 && text(call, name) !== undefined) throw usage(`--${name} needs a --destination`);
  if (flag(call, "cache") && text(call, "cache-repo") === undefined && noPush && destinations.length === 0)
    throw usage("if using cache with --no-push, specify cache repo with --cache-repo");
  if (text(call, "tar-path") !== undefined && destinations.length === 0)
    throw usage("--tar-path needs a --destination, which names the image in the archive");
  const mode = text(call, "snapshot-mode") ?? "full";
  if (!["full", "redo", "time"].includes(mode)) throw usage(`--snapshot-mode ${mode}: it is full, redo or time`);
}

/** Lines as they come, never a screen that is drawn over: kaniko's output is a log. */
function progressOf(call: Call): string {
  const level = text(call, "verbosity") ?? "info";
  if (["panic", "fatal", "error", "warn", "warning"].includes(level)) return "quiet";
  if (!["info", "debug", "trace"].includes(level))
    throw new SlipwayError("USAGE", `--verbosity ${level} is not known`, {
      hint: "It takes panic, fatal, error, warn, info, debug and trace.",
    });
  const format = text(call, "log-format") ?? "color";
  if (!["text", "color", "json"].includes(format))
    throw new SlipwayError("USAGE", `--log-format ${format} is not known`, { hint: "It takes text, color and json." });
  return format === "json" ? "rawjson" : "plain";
}

function imageForm(call: Call): ImageForm {
  const level = number(call, "compression-level");
  const compression = parseCompression(
    text(call, "compression") ?? "gzip",
    level === undefined || level === -1 ? undefined : String(level),
  );
  return { compression, force: false, ociTypes: true, annotations: noAnnotations() };
}

function outputsOf(
  call: Call,
  about: { destinations: string[]; noPush: boolean; form: ImageForm; directory: () => string },
): OutputSpec[] {
  const { destinations, noPush, form, directory } = about;
  const layout = text(call, "oci-layout-path");
  const tar = text(call, "tar-path");
  const wantsDigest = ["digest-file", "image-name-with-digest-file", "image-name-tag-with-digest-file"].some(
    (name) => text(call, name) !== undefined,
  );
  const outputs: OutputSpec[] = [];
  if (tar !== undefined) outputs.push({ type: "docker", names: destinations, form, dest: tar, tar: true });
  // The digest is of the manifest, which is made when the image leaves: where it goes nowhere else, it goes to a place that nobody looks at.
  if (layout !== undefined || (wantsDigest && noPush))
    outputs.push({ type: "oci", names: [], form, dest: layout ?? join(directory(), "layout"), tar: false });
  if (!noPush)
    outputs.push({
      type: "image",
      names: destinations,
      form,
      push: { byDigest: false, insecure: false },
      store: "never",
    });
  return outputs.length === 0 ? [{ type: "cacheonly" }] : outputs;
}

/** One cache for each image, target and platform: builds that share a repository do not write over each other's. */
function cacheOf(
  call: Call,
  destinations: readonly string[],
): Pick<BuildOptions, "noCache" | "cacheTtl" | "cacheFrom" | "cacheTo"> {
  if (!flag(call, "cache") || call.values["cache-run-layers"] === false) return { noCache: true };
  const ttl = text(call, "cache-ttl") ?? "336h";
  const nanoseconds = parseGoDuration(ttl);
  if (nanoseconds === undefined || nanoseconds < 0)
    throw new SlipwayError("USAGE", `--cache-ttl ${ttl} is not a duration`, { hint: "For example --cache-ttl=6h" });
  const names = destinations.map((each) => repositoryOf(each));
  const what = [names, text(call, "dockerfile"), text(call, "target"), text(call, "custom-platform")];
  const tag = `slipway-${new Bun.SHA256().update(JSON.stringify(what)).digest("hex").slice(0, 24)}`;
  const place = text(call, "cache-repo") ?? `${names[0]}/cache`;
  const common = {
    ignoreError: false,
    mode: "max" as const,
    mounts: [],
    form:
      call.values["compressed-caching"] === false
        ? { compression: { format: "uncompressed" as const }, force: false }
        : { force: false },
  };
  let from: CacheImport;
  let to: CacheExport;
  if (place.startsWith("oci:")) {
    const path = place.slice("oci:".length);
    from = { type: "local", src: path, tag };
    to = { ...common, type: "local", dest: path, tag };
  } else {
    const ref = `${repositoryOf(parseReference(place).canonical)}:${tag}`;
    from = { type: "registry", ref };
    to = { ...common, type: "registry", ref };
  }
  return {
    noCache: false,
    cacheTtl: nanoseconds / 1e9,
    cacheFrom: [from],
    cacheTo: flag(call, "no-push-cache") ? [] : [to],
  };
}

function repositoryOf(canonical: string): string {
  const { domain, path } = parseReference(canonical);
  return `${domain}/${path}`;
}

function writeDigests(call: Call, destinations: readonly string[], digest: string): void {
  const write = (name: string, content: () => string): void => {
    const file = text(call, name);
    if (file === undefined) return;
    if (digest === "") throw new Error("an image that leaves has a digest");
    writeFileSync(file, content());
  };
  // kaniko names Docker Hub as its library does.
  const named = destinations.map((each) => {
    const { domain, path, tag } = parseReference(each);
    return { name: `${domain === "docker.io" ? "index.docker.io" : domain}/${path}`, tag: tag ?? "latest" };
  });
  write("digest-file", () => digest);
  write("image-name-with-digest-file", () => named.map(({ name }) => `${name}@${digest}\n`).join(""));
  write("image-name-tag-with-digest-file", () => named.map(({ name, tag }) => `${name}:${tag}@${digest}\n`).join(""));
}

/** One without a value is the environment's, "" where it has none (kaniko). */
function buildArg(argument: string): [string, string] {
  const equals = argument.indexOf("=");
  return equals < 0 ? [argument, process.env[argument] ?? ""] : [argument.slice(0, equals), argument.slice(equals + 1)];
}
