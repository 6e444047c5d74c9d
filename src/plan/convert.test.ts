import { expect, test } from "bun:test";
import { conformance } from "../../test/support/conformance.ts";
import { parseDockerfile } from "../dockerfile/parseDockerfile.ts";
import { sha256 } from "../oci/digest.ts";
import { formatPlatform, hostPlatform, type Platform } from "../oci/platform.ts";
import type { ResolveImage } from "./graph.ts";
import { planBuild } from "./plan.ts";

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

const data = conformance("convert") as { dockerfiles: Row[] } | undefined;
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
