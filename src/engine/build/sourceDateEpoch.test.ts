import { expect, test } from "bun:test";
import { chmodSync, copyFileSync, linkSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { conformance } from "../../../test/support/conformance.ts";
import { type TestEngine, withEngine } from "../../../test/support/withEngine.ts";
import { parseDockerfile } from "../../dockerfile/parseDockerfile.ts";
import { storeImage } from "../../store/storeImage.ts";
import { build } from "./build.ts";
import type { BuildOptions, BuildResult } from "../Engine.ts";
import { type EpochSources, sourceDateEpoch } from "./sourceDateEpoch.ts";

const EPOCH = 1_700_000_000;

const DOCKERFILE = [
  "FROM scratch AS base",
  "COPY bin /bin",
  "FROM base AS made",
  "WORKDIR /out/deep",
  "ARG SOURCE_DATE_EPOCH",
  "RUN echo $SOURCE_DATE_EPOCH > a; ln a b; ln -s a c; mkdir d; touch -d @981158400 old",
  "FROM base",
  "WORKDIR /srv",
  "COPY . files/",
  "ADD archive.tar /unpacked/",
  "COPY --from=made /out /out",
  "COPY --link <<EOF /etc/motd",
  "hello",
  "EOF",
  "RUN <<EOF",
  "rm /srv/files/a.txt",
  "echo more >> /out/deep/d/file",
  "mkfifo pipe",
  "EOF",
  "RUN --mount=from=made,source=/out,target=/m cp -p /m/deep/old /old",
  "RUN --mount=target=/m cp -p /m/a.txt /context-file",
].join("\n");

/** A context whose files are of `time` (seconds). */
function context({ directory }: TestEngine, name: string, time: number): string {
  const path = join(directory, name);
  mkdirSync(join(path, "bin"), { recursive: true });
  copyFileSync("/bin/busybox", join(path, "bin/sh"));
  chmodSync(join(path, "bin/sh"), 0o755);
  for (const applet of ["cp", "ln", "mkdir", "mkfifo", "rm", "touch"])
    linkSync(join(path, "bin/sh"), join(path, "bin", applet));
  writeFileSync(join(path, "a.txt"), "a");
  writeFileSync(join(path, "b.txt"), "b");
  symlinkSync("a.txt", join(path, "link"));
  // In the archive, a time is content.
  const made = join(directory, `${name}.old`);
  mkdirSync(made);
  writeFileSync(join(made, "old.txt"), "old");
  utimesSync(join(made, "old.txt"), 1e9, 1e9);
  const tar = ["tar", "--format=ustar", "--owner=0", "--group=0", "-cf", join(path, "archive.tar"), "-C", made];
  expect(Bun.spawnSync([...tar, "old.txt"]).exitCode).toBe(0);
  writeFileSync(join(path, "Dockerfile"), DOCKERFILE);
  for (const file of ["bin/sh", "a.txt", "b.txt", "archive.tar", "bin", "."]) utimesSync(join(path, file), time, time);
  return path;
}

function run(test: TestEngine, path: string, epoch?: string, outputs?: BuildOptions["outputs"]): Promise<BuildResult> {
  const options: BuildOptions = {
    context: path,
    tags: [],
    buildArgs: epoch === undefined ? {} : { SOURCE_DATE_EPOCH: epoch },
    labels: {},
    noCache: false,
    noCacheFilter: [],
    pull: false,
    addHosts: [],
    secrets: [],
    ...(outputs === undefined ? {} : { outputs }),
  };
  test.events.length = 0;
  return build(test.engine, options);
}

const digest = ({ engine }: TestEngine, { imageID }: BuildResult) => storeImage(engine.store, imageID).digest();

function uncached({ events }: TestEngine): number {
  return events.filter((e) => e.type === "step.done" && !e.cached && !e.id.startsWith("internal")).length;
}

/** Times (seconds) by path of the image's layers, directories too; whiteouts have none. */
function times({ engine: { store } }: TestEngine, { imageID }: BuildResult): Map<string, number> {
  const found = new Map<string, number>();
  for (const diffID of store.images.get(imageID)?.config.rootfs.diff_ids ?? []) {
    const { path } = store.layers.require(diffID);
    const listed = Bun.spawnSync(["find", path, "!", "-type", "c", "-printf", "%P\t%T@\\n"])
      .stdout.toString()
      .trim()
      .split("\n");
    for (const line of listed) {
      const [name, time] = line.split("\t");
      found.set(name as string, Number(time));
    }
  }
  return found;
}

test("with an epoch, the same inputs give the same image digest in two fresh stores at two times, and no file is later", async () => {
  const one = await withEngine(async (test) => {
    const result = await run(test, context(test, "one", 1_600_000_000), String(EPOCH));
    return { digest: await digest(test, result), config: test.engine.store.images.get(result.imageID)?.config };
  });
  await Bun.sleep(1100);
  await withEngine(async (test) => {
    const path = context(test, "two", 1_790_000_000);
    const result = await run(test, path, String(EPOCH));
    const { config } = test.engine.store.images.get(result.imageID) as { config: typeof one.config };
    expect(config).toEqual(one.config as NonNullable<typeof config>);
    expect(await digest(test, result)).toBe(one.digest);
    expect(result.epoch).toBe(EPOCH);
    expect(config?.created).toBe("2023-11-14T22:13:20Z");
    expect(new Set(config?.history?.map(({ created }) => created))).toEqual(new Set(["2023-11-14T22:13:20Z"]));

    const found = times(test, result);
    expect([...found].filter(([, time]) => time > EPOCH)).toEqual([]);
    expect(found.get("old")).toBe(981_158_400);
    expect(found.get("unpacked/old.txt")).toBe(1e9);
    expect(found.get("srv/files/b.txt")).toBe(EPOCH);
    expect(found.get("out/deep/d")).toBe(EPOCH);

    await run(test, path, String(EPOCH));
    expect(uncached(test)).toBe(0);

    // In a directory or tar of files every one is of that time (BuildKit).
    const dest = join(test.directory, "out");
    const shown = (...args: string[]) => new Set(Bun.spawnSync(args).stdout.toString().trim().split("\n"));
    const outputs: BuildOptions["outputs"] = [
      { type: "local", dest, mode: "copy" },
      { type: "tar", dest: `${dest}.tar` },
    ];
    await run(test, path, String(EPOCH), outputs);
    expect(shown("find", dest, "-mindepth", "1", "-printf", "%T@\n")).toEqual(new Set([`${EPOCH}.0000000000`]));
    const listed = [...shown("tar", "--utc", "-tvf", `${dest}.tar`)];
    expect(listed.filter((line) => !line.includes("2023-11-14 22:13"))).toEqual([]);
  });
});

test("neither a build without an epoch nor one with another is given a layer of an epoch's, and the other way round", () =>
  withEngine(async (test) => {
    const path = context(test, "one", 1_790_000_000);
    const before = await run(test, path);
    const fixed = await run(test, path, String(EPOCH));
    expect(uncached(test)).toBeGreaterThan(5);
    const later = await run(test, path, String(EPOCH + 1));
    expect(uncached(test)).toBeGreaterThan(5);
    expect(times(test, fixed).get("srv/files/b.txt")).toBe(EPOCH);
    expect(times(test, later).get("srv/files/b.txt")).toBe(EPOCH + 1);
    expect(times(test, before).get("srv/files/b.txt")).toBe(1_790_000_000);

    expect((await run(test, path)).imageID).toBe(before.imageID);
    expect(uncached(test)).toBe(0);

    // The same content by another way: not the twin of a layer with an epoch's times.
    writeFileSync(join(path, "Dockerfile"), "FROM scratch\nCOPY b.txt /only");
    await run(test, path, String(EPOCH));
    writeFileSync(join(path, "Dockerfile"), "FROM scratch\nCOPY --chmod=644 b.txt /only");
    expect(times(test, await run(test, path)).get("only")).toBe(1_790_000_000);
  }));

test("SOURCE_DATE_EPOCH is a number, context, a named context, or a stage of one source; the caller wins over the Dockerfile's default", async () => {
  const asked: string[] = [];
  const sources: EpochSources = {
    resolveImage: (reference, platform) =>
      Promise.resolve({
        reference,
        imageID: `sha256:${"0".repeat(64)}`,
        platform,
        config: {
          architecture: "amd64",
          os: "linux",
          rootfs: { type: "layers", diff_ids: [`sha256:${"1".repeat(64)}`] },
        },
      }),
    contextTime: async (name) => {
      asked.push(name);
      return name === "src" ? 11 : undefined;
    },
    sourceTime: async (step) => {
      asked.push(step.kind === "http" ? step.url : step.remote);
      return 12;
    },
  };
  const read = (text: string, value?: string) =>
    sourceDateEpoch(
      parseDockerfile(text, { file: "Dockerfile" }),
      {
        buildPlatform: { os: "linux", architecture: "amd64" },
        namedContexts: { src: { type: "tree", context: "src" } },
        ...(value === undefined ? {} : { buildArgs: { SOURCE_DATE_EPOCH: value } }),
      },
      sources,
    );
  const stages = [
    "FROM scratch AS one\nARG URL=https://example.com/src.tar\nADD $URL /",
    "FROM scratch AS file\nCOPY Dockerfile /Dockerfile",
    "FROM busybox AS image\nADD https://example.com/src.tar /",
    "FROM scratch",
  ].join("\n");
  expect(await read(stages)).toEqual({});
  expect(await read(stages, "")).toEqual({});
  expect(await read(stages, "1700000501")).toEqual({ epoch: 1700000501, text: "1700000501" });
  expect(await read(`ARG N=5\nARG SOURCE_DATE_EPOCH=\${N}0\n${stages}`)).toEqual({ epoch: 50, text: "50" });
  expect(await read(`ARG SOURCE_DATE_EPOCH=50\n${stages}`, "60")).toEqual({ epoch: 60, text: "60" });
  expect(await read(stages, "context")).toEqual({ text: "" });
  expect(await read(stages, "src")).toEqual({ epoch: 11, text: "11" });
  expect(await read(stages, "one")).toEqual({ epoch: 12, text: "12" });
  expect(asked).toEqual(["context", "src", "https://example.com/src.tar"]);
  expect(read(stages, "file")).rejects.toThrow("SOURCE_DATE_EPOCH stage does not meet source-only requirements");
  expect(read(stages, "image")).rejects.toThrow("SOURCE_DATE_EPOCH stage must use FROM scratch");
  expect(read(stages, "not-a-timestamp")).rejects.toThrow("invalid SOURCE_DATE_EPOCH: not-a-timestamp");

  const rows = (conformance("convert") as { sourceDateEpoch: EpochRow[] } | undefined)?.sourceDateEpoch ?? [];
  for (const { id, value, stage, dockerfile = "FROM scratch", expectedUnix, formatted, errorContains } of rows) {
    const found = await read(dockerfile, stage ?? value).catch((error: Error) => error.message);
    if (errorContains !== undefined) expect([id, found]).toEqual([id, expect.stringContaining(errorContains)]);
    else if (stage !== undefined) expect([id, asked.pop()]).toEqual([id, "https://example.com/src.tar"]);
    else expect([id, found]).toEqual([id, { ...(expectedUnix ? { epoch: expectedUnix } : {}), text: formatted ?? "" }]);
  }
});

interface EpochRow {
  id: string;
  value?: string;
  stage?: string;
  dockerfile?: string;
  expectedUnix?: number;
  formatted?: string;
  errorContains?: string;
}
