import { expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { type TestEngine, withEngine } from "../../../test/support/withEngine.ts";
import { validateImage } from "../../image/validateImage.ts";
import { createFileTree } from "../../solve/tree/FileTree.ts";
import { createTreeDigester } from "../../solve/tree/treeDigest.ts";
import { createOverlaySnapshotter } from "../../store/overlay.ts";
import { storeImage } from "../../store/storeImage.ts";
import type { FileChange } from "../../solve/explain/fileChanges.ts";
import type { MissChange } from "../../solve/explain/explainMiss.ts";
import { build } from "./build.ts";
import type { BuildOptions, BuildResult } from "../Engine.ts";

const BUSYBOX = "/bin/busybox";

function write(context: string, files: Record<string, string>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(context, path)), { recursive: true });
    writeFileSync(join(context, path), content);
  }
}

function context({ directory }: TestEngine, files: Record<string, string>): string {
  const path = join(directory, "context");
  mkdirSync(path);
  mkdirSync(join(path, "bin"));
  copyFileSync(BUSYBOX, join(path, "bin/sh"));
  chmodSync(join(path, "bin/sh"), 0o755);
  for (const name of ["cat", "ls", "mkdir", "rm"]) linkSync(join(path, "bin/sh"), join(path, "bin", name));
  write(path, files);
  return path;
}

const base = ["FROM scratch", "COPY bin /bin"];

function run(test: TestEngine, path: string, options: Partial<BuildOptions> = {}): Promise<BuildResult> {
  return build(test.engine, {
    context: path,
    tags: [],
    buildArgs: {},
    labels: {},
    noCache: false,
    noCacheFilter: [],
    pull: false,
    addHosts: [],
    secrets: [],
    ...options,
  });
}

/** Names of the Dockerfile's steps that ran, in order of their end, since the last call. */
function ran(test: TestEngine): string[] {
  const names = new Map<string, string>();
  const done: string[] = [];
  for (const event of test.events.splice(0)) {
    if (event.type === "step.start") names.set(event.id, event.name);
    if (event.type === "step.done" && !event.cached && !event.id.startsWith("internal"))
      done.push(names.get(event.id) ?? "");
  }
  return done.map((name) => name.replace(/^\[.*?\] /, ""));
}

/** Digest of the whole file system of an image, times aside. */
function fileSystem({ engine: { store } }: TestEngine, result: BuildResult): string {
  const record = store.images.get(result.imageID);
  const layers = record?.config.rootfs.diff_ids.map((diffID) => store.layers.require(diffID)) ?? [];
  const tree = createFileTree(store.linux, createOverlaySnapshotter(store).view(layers).fd);
  try {
    return createTreeDigester(store.linux, tree).digest(tree.root, { contentsOnly: true });
  } finally {
    tree.close();
  }
}

test("a build that has nothing to do runs nothing and gives the same image", () =>
  withEngine(async (test) => {
    const path = context(test, {
      "a.txt": "a",
      Dockerfile: [...base, "WORKDIR /srv", "COPY a.txt .", "RUN echo b > b.txt"].join("\n"),
    });
    const first = await run(test, path, { tags: ["one"] });
    expect(ran(test)).toHaveLength(4);
    const second = await run(test, path, { tags: ["one"] });
    expect(ran(test)).toEqual([]);
    expect(second.imageID).toBe(first.imageID);
  }));

test("a step that runs again and writes the same leaves what follows cached", () =>
  withEngine(async (test) => {
    const path = context(test, {
      "a.txt": "1",
      Dockerfile: [...base, "COPY a.txt /a.txt", "RUN echo same > /out; rm /a.txt", "RUN echo after > /after"].join(
        "\n",
      ),
    });
    await run(test, path);
    ran(test);
    write(path, { "a.txt": "2" });
    await run(test, path);
    expect(ran(test)).toEqual(["COPY a.txt /a.txt", "RUN echo same > /out; rm /a.txt", "RUN echo after > /after"]);
    write(path, {
      Dockerfile: [...base, "RUN echo same > /out", "RUN echo after > /after"].join("\n"),
    });
    await run(test, path);
    ran(test);
    write(path, {
      Dockerfile: [...base, "RUN echo same > /out # again", "RUN echo after > /after"].join("\n"),
    });
    await run(test, path);
    expect(ran(test)).toEqual(["RUN echo same > /out # again"]);
  }));

test("a miss names all that changed: files with their digests, modes and links, arguments, variables, the base image, the command", () =>
  withEngine(async (test) => {
    const path = context(test, {
      "a.txt": "1",
      "src/same": "same",
      "src/edited": "1",
      "src/gone": "gone",
      "src/mode": "mode",
      "base.Dockerfile": [...base, "COPY a.txt /from-base"].join("\n"),
      Dockerfile: [
        "FROM moving",
        "ARG V=1",
        "COPY a.txt /a.txt",
        "COPY src /src",
        "RUN --mount=target=/m,source=src echo $V",
      ].join("\n"),
    });
    symlinkSync("same", join(path, "src/link"));
    await run(test, path, { file: join(path, "base.Dockerfile"), tags: ["moving"] });
    await run(test, path);
    const misses = (): { reason: string; changes: MissChange[] }[] =>
      test.events
        .splice(0)
        .flatMap(({ ...event }) =>
          event.type === "step.done" && event.reason !== undefined
            ? [{ reason: event.reason, changes: event.changes ?? [] }]
            : [],
        );
    misses();
    write(path, { "a.txt": "2", "src/edited": "22", "src/new": "" });
    chmodSync(join(path, "src/mode"), 0o600);
    rmSync(join(path, "src/gone"));
    rmSync(join(path, "src/link"));
    symlinkSync("edited", join(path, "src/link"));
    await run(test, path, { buildArgs: { V: "2" } });
    const [one, directory, mounted] = misses();
    const hash = (text: string): string => new Bun.SHA256().update(text).digest("hex");
    const content = (old: string, now: string) => ({ what: "content" as const, old: hash(old), new: hash(now) });
    expect(one).toEqual({
      reason: "a.txt changed",
      changes: [{ part: "a.txt", files: [{ path: "a.txt", change: "changed", differences: [content("1", "2")] }] }],
    });
    const files = [
      { path: "src/edited", change: "changed", differences: [content("1", "22")] },
      { path: "src/gone", change: "removed" },
      { path: "src/link", change: "changed", differences: [{ what: "link", old: "same", new: "edited" }] },
      { path: "src/mode", change: "changed", differences: [{ what: "mode", old: "644", new: "600" }] },
      { path: "src/new", change: "added" },
    ];
    expect(directory?.changes[0]?.files).toEqual(files as FileChange[]);
    expect(directory?.reason).toBe(
      "src/edited changed, src/gone removed, src/link changed and 2 more; result of the step before changed",
    );
    expect(mounted?.changes[0]).toEqual({ part: "build argument V", old: "1", new: "2" });
    expect(mounted?.changes[1]?.files?.map((each) => each.path)).toEqual(
      files.map((each) => each.path.replace("src", "/m")),
    );

    // Of earlier runs the nearest explains: not the latest, where an edit was taken back.
    write(path, { "src/far": "1", "src/further": "2", "src/same": "not the same" });
    await run(test, path, { buildArgs: { V: "2" } });
    rmSync(join(path, "src/far"));
    rmSync(join(path, "src/further"));
    write(path, { "src/same": "same", "src/near": "" });
    misses();
    await run(test, path, { buildArgs: { V: "2" } });
    expect(misses().map(({ reason }) => reason)).toEqual([
      "src/near added",
      "/m/near added; result of the step before changed",
    ]);

    // A base image that moved, and what is written in the Dockerfile.
    await run(test, path, { file: join(path, "base.Dockerfile"), tags: ["moving"] });
    misses();
    write(path, { Dockerfile: "FROM moving\nENV W=1\nCOPY a.txt /b.txt\nWORKDIR /w\nRUN echo $W" });
    await run(test, path);
    misses();
    write(path, { Dockerfile: "FROM moving\nENV W=2\nCOPY a.txt /c.txt\nWORKDIR /w\nRUN echo $W again" });
    await run(test, path);
    const [copied, , ran] = misses();
    expect(copied?.reason).toBe("destination: /b.txt → /c.txt");
    expect(ran?.reason).toStartWith(
      'command: ["/bin/sh","-c","echo $W"] → ["/bin/sh","-c","echo $W again"]; environment',
    );
    write(path, { "base.Dockerfile": "FROM scratch\nCOPY bin /bin" });
    const old = test.engine.store.images.byTag("docker.io/library/moving:latest");
    const moved = await run(test, path, { file: join(path, "base.Dockerfile"), tags: ["moving"] });
    misses();
    await run(test, path);
    expect(misses()[0]?.changes).toEqual([
      { part: "base image docker.io/library/moving:latest", old: old?.id as string, new: moved.imageID },
    ]);
  }));

test("what is older than its step allows is made anew; with failOnMiss a step that is not cached is an error that says why", () =>
  withEngine(async (test) => {
    const file = (command: string): string => [...base, "# cache: ttl=1s", `RUN ${command}`].join("\n");
    const path = context(test, { Dockerfile: file("echo a > /a") });
    const refused = (options: Partial<BuildOptions> = {}): Promise<string> =>
      run(test, path, { failOnMiss: true, ...options }).then(
        () => "built",
        (error: Error) => error.message,
      );
    await run(test, path);
    expect(await refused()).toBe("built");
    expect(await refused({ noCache: true })).toContain("the cache was not asked");
    await Bun.sleep(1100);
    expect(await refused()).toContain("RUN echo a > /a is not in the cache: the cached result is older than 1 s");
    ran(test);
    await run(test, path);
    expect(ran(test)).toEqual(["RUN echo a > /a"]);
    write(path, { Dockerfile: file("echo b > /a") });
    expect(await refused()).toContain("command:");
  }));

test("--no-cache-filter runs the steps of the named stages anew, and no others", () =>
  withEngine(async (test) => {
    const path = context(test, {
      Dockerfile: [
        "FROM scratch AS zero",
        "COPY bin /bin",
        "RUN echo 0 > /0",
        "FROM scratch AS named",
        "COPY bin /bin",
        "RUN echo 1 > /1",
      ]
        .concat("FROM zero AS last", "COPY --from=named /1 /1", "RUN echo 2 > /2")
        .join("\n"),
    });
    await run(test, path);
    ran(test);
    await run(test, path, { noCacheFilter: ["NAMED"] });
    // What it writes is the same: what stands on it stays cached.
    expect(ran(test).sort()).toEqual(["COPY bin /bin", "RUN echo 1 > /1"]);
    await run(test, path, { noCacheFilter: ["last"] });
    expect(ran(test).sort()).toEqual(["COPY --from=named /1 /1", "RUN echo 2 > /2"]);
    await run(test, path, { noCache: true });
    expect(ran(test)).toHaveLength(6);
  }));

test("a failing step leaves no image, no mount and no file behind, and names its lines", () =>
  withEngine(async (test) => {
    const path = context(test, { Dockerfile: [...base, "RUN echo out; exit 3"].join("\n") });
    const before = readFileSync("/proc/self/mountinfo", "utf8");
    const failure = await run(test, path, { tags: ["never"] }).catch((error) => error);
    expect(failure).toMatchObject({ code: "STEP_FAILED", range: { start: 3, end: 3 } });
    expect(failure.message).toContain("exit code: 3");
    expect(test.engine.store.images.list()).toEqual([]);
    expect(readdirSync(join(test.engine.store.root, "tmp"))).toEqual([]);
    expect(readFileSync("/proc/self/mountinfo", "utf8").split("\n").length).toBe(before.split("\n").length);
  }));

test("a stage that the target does not need is not built; COPY --from takes what another stage made", () =>
  withEngine(async (test) => {
    const path = context(test, {
      Dockerfile: [
        "FROM scratch AS made",
        "COPY bin /bin",
        "RUN echo made > /made",
        "FROM scratch AS unused",
        "COPY nothing /",
        "FROM scratch",
        "COPY --from=made /made /taken",
      ].join("\n"),
    });
    const first = await run(test, path);
    expect(ran(test)).toHaveLength(3);
    await run(test, path);
    expect(ran(test)).toEqual([]);
    expect(test.engine.store.images.get(first.imageID)?.config.rootfs.diff_ids).toHaveLength(1);
  }));

test("what .dockerignore names is neither copied nor part of the key", () =>
  withEngine(async (test) => {
    const path = context(test, {
      "keep/a": "1",
      "keep/b.log": "1",
      "drop/a": "1",
      ".dockerignore": "**/*.log\ndrop\n",
      Dockerfile: "FROM scratch\nCOPY . /all/",
    });
    const first = await run(test, path);
    ran(test);
    write(path, { "keep/b.log": "2", "drop/a": "2" });
    const second = await run(test, path);
    expect(ran(test)).toEqual([]);
    expect(second.imageID).toBe(first.imageID);
    write(path, { "keep/a": "2" });
    expect((await run(test, path)).imageID).not.toBe(first.imageID);
  }));

test("a built image is sound to its last byte, and its layers pack to the same bytes every time", () =>
  withEngine(async (test) => {
    const path = context(test, {
      "a.txt": "a",
      Dockerfile: [
        ...base,
        "COPY a.txt /a.txt",
        "RUN mkdir /d && echo x > /d/f && rm /a.txt",
        "RUN rm -r /d && mkdir /d",
      ].join("\n"),
    });
    const { imageID } = await run(test, path);
    expect(await validateImage(storeImage(test.engine.store, imageID))).toEqual([]);
    const [one, two] = [storeImage(test.engine.store, imageID), storeImage(test.engine.store, imageID)];
    expect(await one.digest()).toBe(await two.digest());
  }));

type Edit = {
  kind: "write" | "chmod" | "remove" | "touch" | "link" | "argument" | "instruction";
  path: number;
  value: number;
};

const PATHS = ["a", "b", "d/a", "d/b", "d/e/f"];
const STEPS = [
  "COPY a* /one/",
  "COPY d /two",
  "COPY d/e /three/",
  "RUN cat /one/* > /sum; echo $V >> /sum; ls /two >> /sum",
  "WORKDIR /srv/x",
  "ENV N=1",
  "COPY --chmod=640 . /all",
  "RUN rm -f /two/a; mkdir -p /made; echo $N > /made/n",
];

function apply(edit: Edit, path: string, state: { value: number; order: number }): void {
  const file = join(path, PATHS[edit.path % PATHS.length] as string);
  mkdirSync(dirname(file), { recursive: true });
  switch (edit.kind) {
    case "write":
      rmSync(file, { recursive: true, force: true });
      writeFileSync(file, String(edit.value % 3));
      break;
    case "chmod":
      if (existsSync(file) && lstatSync(file).isFile()) chmodSync(file, edit.value % 2 === 0 ? 0o644 : 0o755);
      break;
    case "remove":
      rmSync(file, { recursive: true, force: true });
      break;
    case "touch":
      if (existsSync(file)) utimesSync(file, edit.value, edit.value);
      break;
    case "link":
      rmSync(file, { recursive: true, force: true });
      symlinkSync(`t${edit.value % 3}`, file);
      break;
    case "argument":
      state.value = edit.value % 3;
      break;
    case "instruction":
      state.order = edit.value;
  }
}

function dockerfileOf(order: number): string {
  const chosen = STEPS.filter((_, i) => i < 4 || ((order >> (i - 4)) & 1) === 0);
  return [...base, "ARG V=0", ...chosen].join("\n");
}

test("after any edits, the cached build equals a build without cache", async () => {
  const edit = fc.record({
    kind: fc.constantFrom<Edit["kind"]>("write", "chmod", "remove", "touch", "link", "argument", "instruction"),
    path: fc.nat(PATHS.length - 1),
    value: fc.nat(15),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(edit, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 4 }),
      (rounds) =>
        withEngine(async (test) => {
          const path = context(test, {
            a: "0",
            "d/a": "0",
            "d/b": "0",
            "d/e/f": "0",
            ".dockerignore": "Dockerfile\n",
          });
          const state = { value: 0, order: 0 };
          for (const edits of rounds) {
            for (const each of edits) apply(each, path, state);
            write(path, {
              Dockerfile: dockerfileOf(state.order),
              a: "x",
              "d/e/f": existsSync(join(path, "d/e/f")) ? readOrLink(join(path, "d/e/f")) : "f",
            });
            const buildArgs = { V: String(state.value) };
            const cached = await run(test, path, { buildArgs });
            test.events.length = 0;
            const again = await run(test, path, { buildArgs });
            expect(ran(test)).toEqual([]);
            expect(again.imageID).toBe(cached.imageID);
            const fresh = await run(test, path, { buildArgs, noCache: true });
            expect(fileSystem(test, fresh)).toBe(fileSystem(test, cached));
            const [one, two] = [cached, fresh].map(({ imageID }) => test.engine.store.images.get(imageID)?.config);
            expect(two?.config).toEqual(one?.config as never);
            expect(two?.rootfs).toEqual(one?.rootfs as never);
          }
        }),
    ),
    { numRuns: 8 },
  );
}, 120_000);

function readOrLink(path: string): string {
  return lstatSync(path).isFile() ? readFileSync(path, "utf8") : "f";
}
