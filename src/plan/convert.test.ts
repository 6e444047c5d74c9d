import { expect, test } from "bun:test";
import { conformance } from "../../test/support/conformance.ts";
import { parseDockerfile } from "../dockerfile/parseDockerfile.ts";
import { sha256 } from "../oci/digest.ts";
import { formatPlatform, hostPlatform, type Platform } from "../oci/platform.ts";
import type { ResolveImage } from "./graph.ts";
import { proxyEnvOf } from "./globalArgs.ts";
import { planBuild } from "./plan.ts";
import { withEnv } from "./planMetadata.ts";

interface Row {
  id: string;
  dockerfile: string;
  target?: string;
  ok?: boolean;
  error?: boolean;
  errorEquals?: string;
  labels?: Record<string, string>;
  network?: boolean;
}

interface EnvRow {
  id: string;
  env: string[];
  key: string;
  value: string;
  args: { key: string; value: string | null }[];
  input: string;
  expected: never;
}

interface ConvertTables {
  dockerfiles: Row[];
  addEnv: EnvRow[];
  keyValue: EnvRow[];
  envMap: EnvRow[];
  proxyEnv: { id: string; buildArgs: Record<string, string>; expected: Record<string, string> | null }[];
  healthcheckHistory: { id: string; health: Record<string, string | number | string[]>; createdBy: string }[];
}

const data = conformance("convert") as ConvertTables | undefined;
const exclude = conformance("copy-exclude") as { converts: Row[] } | undefined;

const resolveImage: ResolveImage = async (reference, platform) => ({
  reference,
  imageID: sha256(reference),
  platform,
  config: { ...platform, config: { Env: ["PATH=/bin"] }, rootfs: { type: "layers", diff_ids: [sha256("layer")] } },
});

async function plan(row: Row) {
  const dockerfile = parseDockerfile(row.dockerfile);
  return planBuild(
    dockerfile,
    {
      buildPlatform: { os: "linux", architecture: "amd64" },
      ...(row.target === undefined ? {} : { target: row.target }),
    },
    resolveImage,
  );
}

test.skipIf(data === undefined)(
  "whole Dockerfiles plan, or are refused, as BuildKit says (skipped where the conformance data is not there)",
  async () => {
    // Rows with `network` look an image up in a real registry.
    for (const row of data?.dockerfiles.filter((each) => each.network !== true) ?? []) {
      const outcome = await plan(row).catch((error: Error) => error);
      if (row.ok === true) {
        expect([row.id, outcome instanceof Error ? outcome.message : "planned"]).toEqual([row.id, "planned"]);
        if (row.labels !== undefined && !(outcome instanceof Error))
          expect(outcome.target.config.Labels).toEqual(row.labels);
        continue;
      }
      expect([row.id, outcome instanceof Error]).toEqual([row.id, true]);
      if (row.errorEquals !== undefined) expect((outcome as Error).message).toBe(row.errorEquals);
    }
  },
);

test.skipIf(exclude === undefined)(
  "COPY --exclude is read (skipped where the conformance data is not there)",
  async () => {
    for (const row of exclude?.converts ?? []) {
      const outcome = await plan(row).catch((error: Error) => error);
      expect([row.id, outcome instanceof Error ? outcome.message : "planned"]).toEqual([row.id, "planned"]);
    }
  },
);

interface ResolveRow {
  id: string;
  targetPlatform: Platform | null;
  buildPlatforms: Platform[] | null;
  expected: {
    buildPlatforms?: (Platform | "host")[];
    targetPlatform?: Platform | "buildPlatforms[0]";
    implicitTarget?: boolean;
  };
}
const platforms = conformance("platform") as { resolve: ResolveRow[] } | undefined;

/** Rows of platform.json that are left out; docs/differences.md says why. */
const notResolved = ["resolve-14eef4b0"];

test.skipIf(platforms === undefined)(
  "a build knows the platform that it runs on and the one that it is for (skipped where the conformance data is not there)",
  async () => {
    const base = { os: "linux", architecture: "riscv64" };
    const baseOf: ResolveImage = async (reference, platform) => ({
      ...(await resolveImage(reference, platform)),
      platform: base,
    });
    const dockerfile = parseDockerfile(
      "FROM a\nARG BUILDPLATFORM TARGETPLATFORM\nLABEL b=${BUILDPLATFORM} t=${TARGETPLATFORM}\n",
    );
    for (const row of platforms?.resolve.filter(({ id }) => !notResolved.includes(id)) ?? []) {
      const buildPlatform = row.buildPlatforms?.[0] ?? hostPlatform();
      const asked = row.targetPlatform === null ? {} : { targetPlatform: row.targetPlatform };
      const { target } = await planBuild(dockerfile, { buildPlatform, ...asked }, baseOf);
      const { expected } = row;
      if (expected.buildPlatforms !== undefined) {
        const [first] = expected.buildPlatforms;
        expect([row.id, target.config.Labels?.b]).toEqual([
          row.id,
          formatPlatform(first === "host" || first === undefined ? hostPlatform() : first),
        ]);
      }
      if (expected.targetPlatform !== undefined) {
        const wanted = expected.targetPlatform === "buildPlatforms[0]" ? buildPlatform : expected.targetPlatform;
        expect([row.id, target.config.Labels?.t]).toEqual([row.id, formatPlatform(wanted)]);
      }
      // A target that nobody asked for gives way to what the base image says.
      if (expected.implicitTarget !== undefined)
        expect([row.id, target.platform === base]).toEqual([row.id, expected.implicitTarget]);
    }
  },
);

/** Rows of convert.json that are left out; docs/differences.md says why. */
const notPlanned = ["envMap-0281b697", "envMap-da511f51", "envMap-42743253", "envMap-5ff7a5f2"];

/** What the names come to in a stage of a base with `env`, after `lines`. A name that is not set is left out. */
async function envAfter(env: string[], lines: string[], names: string[]): Promise<Record<string, string>> {
  const labels = names.map((name) => `LABEL ${name}=\${${name}-unset}\n`);
  const dockerfile = parseDockerfile(`FROM a\n${lines.map((line) => `${line}\n`).join("")}${labels.join("")}`);
  const { target } = await planBuild(dockerfile, { buildPlatform: hostPlatform() }, async (reference, platform) => {
    const base = await resolveImage(reference, platform);
    return { ...base, config: { ...base.config, config: { Env: env } } };
  });
  return Object.fromEntries(Object.entries(target.config.Labels ?? {}).filter(([, value]) => value !== "unset"));
}

test.skipIf(data === undefined)(
  "environments come together as BuildKit's tables say (skipped where the conformance data is not there)",
  async () => {
    for (const row of data?.addEnv ?? [])
      expect([row.id, withEnv(row.env, row.key, row.value)]).toEqual([row.id, row.expected]);
    for (const row of data?.keyValue ?? [])
      expect([row.id, await envAfter([row.input], [], [row.key])]).toEqual([row.id, { [row.key]: row.value }]);
    for (const row of data?.envMap.filter(({ id }) => !notPlanned.includes(id)) ?? []) {
      const lines = row.args.map(({ key, value }) => `ARG ${key}${value === null ? "" : `=${value}`}`);
      expect([row.id, await envAfter(row.env, lines, ["key1", "key2"])]).toEqual([row.id, row.expected]);
    }
    for (const row of data?.proxyEnv ?? []) {
      const env = new Map(
        proxyEnvOf(new Map(Object.entries(row.buildArgs))).map((each) => each.split("=") as [string, string]),
      );
      const found = Object.fromEntries(
        ["http", "https", "ftp", "no", "all"].flatMap((name) => {
          expect(env.get(`${name}_proxy`)).toBe(env.get(`${name}_proxy`.toUpperCase()) as string);
          return [[`${name}Proxy`, env.get(`${name}_proxy`) ?? ""]];
        }),
      );
      expect([row.id, env.size === 0 ? null : found]).toEqual([row.id, row.expected]);
    }
  },
);

test.skipIf(data === undefined)(
  "the history of a HEALTHCHECK is BuildKit's text (skipped where the conformance data is not there)",
  async () => {
    for (const { id, health, createdBy } of data?.healthcheckHistory ?? []) {
      const { interval, timeout, startPeriod, startInterval, retries } = health;
      const flags = `--interval=${interval} --timeout=${timeout} --start-period=${startPeriod} --start-interval=${startInterval} --retries=${retries}`;
      const dockerfile = parseDockerfile(`FROM a\nHEALTHCHECK ${flags} CMD true\n`);
      const [instruction] = dockerfile.stages[0]?.instructions ?? [];
      // The table's test has no kind of command before it, which no Dockerfile can say.
      if (instruction?.kind === "healthcheck") instruction.test = health.test as string[];
      const { target } = await planBuild(dockerfile, { buildPlatform: hostPlatform() }, resolveImage);
      expect([id, target.history.at(-1)?.created_by]).toEqual([id, createdBy]);
    }
  },
);
