import { expect, test } from "bun:test";
import { chmodSync, copyFileSync, linkSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withEngine } from "../../../test/support/withEngine.ts";
import { build } from "./build.ts";
import type { BuildOptions, BuildResult } from "../Engine.ts";

const CHANCE = "read id < /proc/sys/kernel/random/uuid; echo $id > /id; touch /bin/new-$id";

test("--verify-reproducible builds again beside the store, names the first paths that differ, and is content where none do", () =>
  withEngine(async ({ engine, events, directory }) => {
    const { store } = engine;
    const context = join(directory, "context");
    mkdirSync(join(context, "bin"), { recursive: true });
    copyFileSync("/bin/busybox", join(context, "bin/sh"));
    chmodSync(join(context, "bin/sh"), 0o755);
    for (const name of ["date", "touch"]) linkSync(join(context, "bin/sh"), join(context, "bin", name));
    const run = async (
      dockerfile: string,
      options: Partial<BuildOptions> = { verifyReproducible: true },
    ): Promise<BuildResult> => {
      writeFileSync(join(context, "Dockerfile"), dockerfile);
      const plain: BuildOptions = {
        ...{ context, tags: [], buildArgs: {}, labels: {}, noCache: false, noCacheFilter: [], pull: false },
        ...{ addHosts: [], secrets: [] },
        ...options,
      };
      return build(engine, plain);
    };
    const inStore = () => ({
      layers: store.layers.list(),
      images: store.images.list(),
      caches: readdirSync(join(store.root, "caches")),
      blobs: store.blobs.list(),
      left: readdirSync(join(store.root, "tmp")),
    });

    // A base image with its name in the store: the second build takes it without a registry.
    await run("FROM scratch\nCOPY bin /bin\nENV A=1", { tags: ["base"] });

    const text = `FROM base\nCOPY Dockerfile /d\nRUN --mount=type=cache,target=/c ${CHANCE}; date > /c/x\nRUN date > /when`;
    await run(text, { tags: ["mine"] });
    const before = inStore();
    events.length = 0;
    const { verification } = await run(text, { tags: ["mine"], verifyReproducible: true });
    expect(inStore()).toEqual(before);
    expect(events.filter((e) => e.type === "step.start" && e.name.startsWith("again: [2/3] RUN"))).toHaveLength(0);
    expect(events.filter((e) => e.type === "step.start" && e.name.startsWith("again: [3/4] RUN"))).toHaveLength(1);

    expect(verification?.times).toBe(false);
    const [chance, when] = verification?.differences ?? [];
    expect(chance?.where).toContain("random/uuid");
    expect(chance?.paths.filter(({ path }) => path.startsWith("/bin/new-")).map(({ what }) => what.join())).toEqual(
      expect.arrayContaining(["missing in the first", "missing in the second"]),
    );
    expect(chance?.paths.find(({ path }) => path === "/id")?.what[0]).toMatch(/^bytes from \d+ on$/);
    expect(when === undefined || when.where.startsWith("RUN")).toBe(true);

    // Times aside without an epoch; to the last digit with one, from a tar on standard input as well.
    const steady = "FROM base\nWORKDIR /w\nCOPY bin/sh .\nRUN touch /bin/x y";
    const same = await run(steady);
    expect(same.verification).toEqual({ times: false, differences: [] });
    const buildArgs = { SOURCE_DATE_EPOCH: "1700000000" };
    const tar = Bun.spawnSync(["tar", "-C", context, "-c", "."]).stdout;
    const exact = await run(steady, {
      buildArgs,
      verifyReproducible: true,
      context: "-",
      stdin: () => new Blob([tar as Uint8Array<ArrayBuffer>]).stream(),
    });
    expect(exact.verification).toEqual({ times: true, differences: [] });
    const old = await run(
      "FROM base\nRUN read id < /proc/sys/kernel/random/uuid; touch -d @$((0x${id%%-*} % 1600000000)) /t",
      {
        buildArgs,
        verifyReproducible: true,
      },
    );
    expect(old.verification?.differences[0]?.paths[0]?.what[0]).toMatch(/^time [0-9T:-]+Z → [0-9T:-]+Z$/);
  }));
