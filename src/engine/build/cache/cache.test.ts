import { expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { withTempDirectory } from "../../../../test/support/tempDirectory.ts";
import { type TestEngine, withEngine } from "../../../../test/support/withEngine.ts";
import { createLayoutWriter } from "../../../archive/layoutWriter.ts";
import { mediaTypes } from "../../../oci/descriptor.ts";
import { type Digest, sha256 } from "../../../oci/digest.ts";
import type { Manifest } from "../../../oci/manifest.ts";
import { CACHE_CONFIG, type CacheConfig, cacheManifest } from "../../../solve/cacheFormat.ts";
import { createFileTree } from "../../../solve/tree/FileTree.ts";
import { createTreeDigester } from "../../../solve/tree/treeDigest.ts";
import { createOverlaySnapshotter } from "../../../store/overlay.ts";
import { storeImage } from "../../../store/storeImage.ts";
import { build } from "../build.ts";
import type { BuildOptions, BuildResult } from "../../Engine.ts";
import { parseCacheFrom, parseCacheTo } from "./parseCacheSpec.ts";

const DOCKERFILE = [
  "FROM scratch AS base",
  "COPY bin /bin",
  "FROM base AS tool",
  "COPY tool.txt /",
  "RUN cat tool.txt > /tool; echo $RANDOM > /noise",
  "FROM base",
  "RUN echo first > /first",
  "COPY app.txt /app",
  "COPY --from=tool /tool /tool",
  "RUN --mount=from=tool,source=/tool,target=/t cat /app /t > /both",
].join("\n");

interface Place {
  context: string;
  cache: string;
}

async function withPlace(work: (place: Place) => Promise<void>): Promise<void> {
  await withTempDirectory(async (directory) => {
    const context = join(directory, "context");
    mkdirSync(join(context, "bin"), { recursive: true });
    copyFileSync("/bin/busybox", join(context, "bin/sh"));
    chmodSync(join(context, "bin/sh"), 0o755);
    linkSync(join(context, "bin/sh"), join(context, "bin/cat"));
    writeFileSync(join(context, "tool.txt"), "tool");
    writeFileSync(join(context, "app.txt"), "app");
    writeFileSync(join(context, "Dockerfile"), DOCKERFILE);
    await work({ context, cache: join(directory, "cache") });
  });
}

interface Built extends BuildResult {
  /** Instructions that ran, numbers left out. */
  ran: string[];
  said: string[];
  /** Digest of its whole file system, times aside. */
  files: string;
}

async function run(
  { engine, events }: TestEngine,
  context: string,
  how: { from?: string[]; to?: string[]; epoch?: number } = {},
): Promise<Built> {
  events.length = 0;
  const options: BuildOptions = {
    ...{ context, tags: [], labels: {}, noCache: false, noCacheFilter: [], pull: false, addHosts: [], secrets: [] },
    buildArgs: how.epoch === undefined ? {} : { SOURCE_DATE_EPOCH: String(how.epoch) },
    cacheFrom: (how.from ?? []).map(parseCacheFrom),
    cacheTo: (how.to ?? []).map(parseCacheTo),
  };
  const result = await build(engine, options);
  const names = new Map(events.flatMap((e) => (e.type === "step.start" ? [[e.id, e.name] as const] : [])));
  const ran = events.flatMap((e) =>
    e.type === "step.done" && !e.cached && !e.id.startsWith("internal") ? [names.get(e.id) ?? ""] : [],
  );
  const { store } = engine;
  const layers = store.images.get(result.imageID)?.config.rootfs.diff_ids.map(store.layers.require) ?? [];
  const tree = createFileTree(store.linux, createOverlaySnapshotter(store).view(layers).fd);
  const files = createTreeDigester(store.linux, tree).digest(tree.root, { contentsOnly: true });
  tree.close();
  const said = events.flatMap((e) => (e.type === "warning" ? [e.message] : []));
  return { ...result, ran: ran.map((name) => name.replace(/^\[.*?\] /, "")), said, files };
}

const steps = [
  "COPY bin /bin",
  "COPY tool.txt /",
  "RUN cat tool.txt > /tool; echo $RANDOM > /noise",
  "RUN echo first > /first",
  "COPY app.txt /app",
  "COPY --from=tool /tool /tool",
  "RUN --mount=from=tool,source=/tool,target=/t cat /app /t > /both",
];

/** What the cache under this directory's tag says, its manifest too. */
function readCache(directory: string): { manifest: Manifest; config: CacheConfig } {
  const json = (path: string) => JSON.parse(readFileSync(join(directory, path), "utf8"));
  const blob = (digest: string) => json(`blobs/${digest.replace(":", "/")}`);
  const manifest: Manifest = blob(json("index.json").manifests[0].digest);
  return { manifest, config: blob(manifest.config.digest) };
}

for (const mode of ["min", "max"])
  test(`mode=${mode}: a fresh store takes every step and comes to the same image, and a changed file runs what it must again`, () =>
    withPlace(async ({ context, cache }) => {
      const first = await withEngine(async (test) => {
        const built = await run(test, context, { to: [`type=local,dest=${cache},mode=${mode}`] });
        expect(built.ran.sort()).toEqual(steps.toSorted());
        return { ...built, manifest: await storeImage(test.engine.store, built.imageID).digest() };
      });
      expect(readCache(cache).manifest.layers).toHaveLength(mode === "min" ? 5 : 7);
      const from = [`type=local,src=${cache}`];
      await withEngine(async (test) => {
        const { store } = test.engine;
        const again = await run(test, context, { from });
        expect([again.ran, again.imageID, again.said]).toEqual([[], first.imageID, []]);
        expect(await storeImage(store, again.imageID).digest()).toBe(first.manifest);
        // Only what the image has was fetched.
        expect(store.layers.list()).toHaveLength(5);
        // Those are the store's own from now on; what never came is built when no cache promises it.
        expect((await run(test, context)).ran).toEqual(["COPY tool.txt /", steps[2] as string]);
      });
      await withEngine(async (test) => {
        writeFileSync(join(context, "app.txt"), "another app");
        const changed = await run(test, context, { from });
        expect(changed.said).toEqual([]);
        // In `min`, the mount of the last step needs what no cache carries.
        const stage = mode === "min" ? ["COPY tool.txt /", steps[2] as string] : [];
        expect(changed.ran.sort()).toEqual(
          ["COPY app.txt /app", steps[5] as string, steps[6] as string, ...stage].sort(),
        );
        const alone = await withEngine((other) => run(other, context));
        expect(changed.files).toBe(alone.files);
      });
    }));

test("a damaged or hostile cache makes a build slower and never another: what it says is proved, or passed by", () =>
  withPlace(async ({ context, cache }) => {
    const first = await withEngine((test) => run(test, context, { to: [`type=local,dest=${cache},mode=max`] }));
    const from = [`type=local,src=${cache}`];
    const { manifest, config } = readCache(cache);
    const layersOf = ({ engine }: TestEngine) => engine.store.layers.list().map(({ diffID }) => diffID);

    /** A build in a fresh store, with the cache under another tag changed by `change`. */
    async function attacked(change: (manifest: Manifest, config: CacheConfig) => void): Promise<Built> {
      const [m, c] = [structuredClone(manifest), structuredClone(config)];
      change(m, c);
      return withEngine(async (test) => {
        const { store } = test.engine;
        const writer = createLayoutWriter(store.linux, cache);
        const put = await writer.put(new Blob([JSON.stringify(c)]).stream());
        await writer.finish(cacheManifest({ mediaType: CACHE_CONFIG, ...put }, m.layers), "attack");
        writer.close();
        const built = await run(test, context, { from: [`${from[0]},tag=attack`] });
        expect(built.files).toBe(first.files);
        // Nothing of it stays: the same build without it finds only what is right.
        const after = await run(test, context);
        expect(after.files).toBe(first.files);
        for (const diffID of layersOf(test)) {
          const { path } = store.layers.require(diffID);
          expect(existsSync(path)).toBe(true);
        }
        return built;
      });
    }
    const swapped = (c: CacheConfig): void => {
      for (const layer of c.layers) layer.blob = ((layer.blob as number) + 1) % c.layers.length;
    };

    // Layers under each other's names: their diffIDs are not what they unpack to.
    const mixed = await attacked((_, c) => swapped(c));
    expect(mixed.said.join()).toContain("unpacked to");
    // Sizes and digests that are not the blob's.
    const renamed = await attacked((m) => {
      for (const [i, layer] of m.layers.entries())
        Object.assign(layer, i % 2 === 0 ? { size: layer.size + 1 } : { digest: sha256(layer.digest) });
    });
    expect(renamed.ran).toHaveLength(7);
    const broken = await attacked((_, c) => void Object.assign(c.layers[0] as object, { diffID: "sha256:../../x" }));
    expect([broken.ran.length, broken.said.join()]).toEqual([
      7,
      expect.stringContaining("the build cache is not valid"),
    ]);
    // A tree's value that is none of ours is looked up anew.
    const odd = await attacked((_, c) => {
      for (const tree of c.trees) tree.value = "[[1]]";
    });
    expect(odd.imageID).toBe(first.imageID);

    // Bytes that a disk has lost, and a blob that is gone.
    for (const { digest } of manifest.layers.slice(0, 3)) {
      const path = join(cache, "blobs", digest.replace(":", "/"));
      const bytes = readFileSync(path);
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 0xff;
      writeFileSync(path, bytes);
    }
    await withEngine(async (test) => {
      const built = await run(test, context, { from });
      expect(built.files).toBe(first.files);
      expect(built.said.join()).toContain("a cached layer is not used");
      expect(readdirSync(join(test.engine.store.root, "tmp"))).toEqual([]);
    });
    await withEngine(async (test) => {
      const none = await run(test, context, { from: ["type=local,src=/nowhere", ...from] });
      expect(none.files).toBe(first.files);
      expect(none.said[0]).toContain("the cache local:/nowhere is not used");
    });
  }));

test("with an epoch a cache is the same bytes every time; an export replaces what its tag had, keeps other tags, and carries on what was never fetched", () =>
  withPlace(async ({ context, cache }) => {
    const to = [`type=local,dest=${cache},mode=max`];
    const read = () => readFileSync(join(cache, "index.json"), "utf8");
    const blobs = () => readdirSync(join(cache, "blobs/sha256")).sort();
    const dockerfile = "FROM scratch AS a\nCOPY app.txt /\nFROM scratch\nCOPY --from=a /app.txt /b";
    writeFileSync(join(context, "Dockerfile"), dockerfile);
    const first = await withEngine((test) => run(test, context, { to, epoch: 86_400 }));
    const before = [read(), blobs()];
    await withEngine(async (test) => {
      const again = await run(test, context, { from: [`type=local,src=${cache}`], to, epoch: 86_400 });
      expect([again.ran, again.imageID]).toEqual([[], first.imageID]);
      expect(test.engine.store.layers.list()).toHaveLength(1);
    });
    expect([read(), blobs()]).toEqual(before);

    // Compressed in another way, it is the same.
    const small = join(context, "../small");
    await withEngine((test) =>
      run(test, context, { to: [`type=local,dest=${small},compression=zstd`], epoch: 86_400 }),
    );
    expect(readCache(small).manifest.layers.map(({ mediaType }) => mediaType)).toEqual([mediaTypes.ociLayerZstd]);
    await withEngine(async (test) => {
      const again = await run(test, context, { from: [`type=local,src=${small}`], epoch: 86_400 });
      expect([again.ran, again.imageID]).toEqual([[], first.imageID]);
    });

    writeFileSync(join(context, "app.txt"), "other");
    await withEngine((test) => run(test, context, { to: [`${to[0]},tag=two`] }));
    expect(JSON.parse(read()).manifests).toHaveLength(2);
    expect(blobs().length).toBe(2 * (before[1] as string[]).length);
    await withEngine((test) => run(test, context, { to, epoch: 5 }));
    await withEngine((test) => run(test, context, { to: [`${to[0]},tag=two`], epoch: 5 }));
    expect(blobs()).toHaveLength((before[1] as string[]).length);

    // Beside other files nothing is written; a failure can be passed over.
    const refused = (extra: string) =>
      withEngine((test) => run(test, context, { to: [`type=local,dest=${context}${extra}`] }));
    expect(refused("")).rejects.toThrow("holds other files and no OCI layout");
    expect((await refused(",ignore-error=true")).said.join()).toContain("the cache was not exported");
  }));

test("an inline cache stands in the image's config, and another build takes the image's layers by it", () =>
  withPlace(async ({ context, cache }) => {
    const first = await withEngine(async (test) => {
      const { store } = test.engine;
      const built = await run(test, context, { to: ["type=inline"] });
      const image = storeImage(store, built.imageID);
      const writer = createLayoutWriter(store.linux, cache);
      for (const layer of await image.layers()) await writer.put(await layer.compressed());
      await writer.put(new Blob([(await image.rawConfig()) as Uint8Array<ArrayBuffer>]).stream());
      await writer.finish({ mediaType: mediaTypes.ociManifest, ...(await image.manifest()) }, "app");
      writer.close();
      return built;
    });
    await withEngine(async (test) => {
      const again = await run(test, context, { from: [`type=local,src=${cache},tag=app`], to: ["type=inline"] });
      expect([again.ran, again.imageID]).toEqual([[], first.imageID]);
    });
    await withEngine(async (test) => {
      const plain = await run(test, context, { from: [`type=local,src=${cache},tag=app`] });
      expect([plain.ran, plain.files]).toEqual([[], first.files]);
      const none = createLayoutWriter(test.engine.store.linux, cache);
      const image = storeImage(test.engine.store, plain.imageID);
      await none.put(new Blob([(await image.rawConfig()) as Uint8Array<ArrayBuffer>]).stream());
      await none.finish(await image.manifest(), "app");
      none.close();
    });
    await withEngine(async (test) => {
      const { said, ran } = await run(test, context, { from: [`type=local,src=${cache},tag=app`] });
      expect([ran.length, said.join()]).toEqual([7, expect.stringContaining("is an image without a build cache")]);
    });
  }));

test("cache mounts that are asked for travel with the cache, fill those that are not there yet, and leave others alone", () =>
  withPlace(async ({ context, cache }) => {
    const mount = "--mount=type=cache,id=log,target=/c,mode=0700,uid=5";
    const write = (command: string) =>
      writeFileSync(join(context, "Dockerfile"), `FROM scratch\nCOPY bin /bin\nRUN ${mount} ${command}\n`);
    const to = [`type=local,dest=${cache},mode=max,mounts=log,mounts=none`];
    write("echo carried > /c/log; echo hidden > /c/.wh.x");
    const { said } = await withEngine((test) => run(test, context, { to }));
    expect(said).toEqual(["there is no cache mount none to be carried along"]);
    expect(readCache(cache).config.mounts).toMatchObject([{ uid: 5, gid: 0, mode: 0o700 }]);

    const from = [`type=local,src=${cache}`];
    const shown = async (test: TestEngine, how: { from?: string[] }): Promise<string> => {
      const { imageID } = await run(test, context, how);
      const { store } = test.engine;
      const top = store.images.get(imageID)?.config.rootfs.diff_ids.at(-1);
      return readFileSync(join(store.layers.require(top as Digest).path, "out"), "utf8");
    };
    write("cat /c/log /c/.wh.x > /out; echo own > /c/log");
    await withEngine(async (test) => {
      expect(await shown(test, { from })).toBe("carried\nhidden\n");
      write("cat /c/log > /out");
      expect(await shown(test, { from })).toBe("own\n");
    });
    write("cat /c/log > /out || true");
    await withEngine(async (test) => expect(await shown(test, {})).toBe(""));

    // Damaged: it begins empty, as it would without.
    const { manifest, config } = readCache(cache);
    const blob = manifest.layers[config.mounts[0]?.blob as number]?.digest as string;
    writeFileSync(join(cache, "blobs", blob.replace(":", "/")), "damaged");
    await withEngine(async (test) => {
      expect(await shown(test, { from })).toBe("");
      expect(
        test.events.filter((e) => e.type === "warning" && e.message.includes("a cache mount begins empty")),
      ).toHaveLength(1);
    });
  }));

test("--cache-from and --cache-to are read as buildx reads them, and what is not known is refused with a reason", () => {
  expect(parseCacheFrom("alpine")).toEqual({ type: "registry", ref: "docker.io/library/alpine:latest" });
  expect(parseCacheFrom("type=registry,ref=localhost:5000/c")).toEqual({
    type: "registry",
    ref: "localhost:5000/c:latest",
  });
  expect(parseCacheFrom("type=local,src=x")).toEqual({ type: "local", src: "x", tag: "latest" });
  expect(parseCacheTo("type=inline")).toEqual({ type: "inline", mode: "min", ignoreError: false, form: {} });
  expect(parseCacheTo("type=local,dest=x,mode=max,tag=t,ignore-error=1")).toEqual({
    ...{ type: "local", dest: "x", tag: "t", mode: "max", ignoreError: true, mounts: [], form: {} },
  });
  expect(parseCacheTo('type=registry,ref=a,mounts=x,"mounts=y,z"')).toMatchObject({ mounts: ["x", "y", "z"] });
  expect(parseCacheTo("type=local,dest=x,compression=zstd,compression-level=3,force-compression=true").form).toEqual({
    ...{ compression: { format: "zstd", level: 3 }, force: true },
  });
  for (const [text, why] of [
    ["type=local,dest=x,compression=estargz", "lazy pulling"],
    ["type=local,dest=x,image-manifest=false", "OCI artifact"],
    ["type=gha", "service's own interface"],
    ["type=local", "dest is required"],
    ["dest=x", "type is required"],
    ["type=local,dest=x,mode=all", "mode=all is not known"],
    ["type=inline,mode=max", "of the image's own layers"],
    ["type=local,dest=x,mod=max", 'knows no "mod"'],
    ["type=local,dest=x,ignore-error=perhaps", "is not a boolean"],
    ["type=disk", "there is no type"],
  ] as const)
    expect(() => parseCacheTo(text)).toThrow(why);
  expect(() => parseCacheFrom("type=inline")).toThrow("by the name of its image");
});
