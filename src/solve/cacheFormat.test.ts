import { expect, test } from "bun:test";
import { type CacheConfig, parseCacheConfig } from "./cacheFormat.ts";

const zeros = "0".repeat(64);

test("a cache's config is read whole or not at all: digests, keys, places and times are what they must be", () => {
  const sound: CacheConfig = {
    version: 1,
    layers: [{ diffID: `sha256:${zeros}`, blob: 0 }, { diffID: `sha256:${"1".repeat(64)}` }],
    steps: [{ key: zeros, layer: 1, created: 5 }],
    trees: [{ key: `tree:${zeros}`, value: "x" }],
    mounts: [{ name: "0".repeat(32), uid: 0, gid: 5, mode: 0o1777, blob: 0 }],
  };
  const parse = (value: unknown) => parseCacheConfig(Buffer.from(JSON.stringify(value)), 1);
  expect(parse({ ...sound, more: 1 })).toEqual(sound);
  const [layer] = sound.layers;
  const [step] = sound.steps;
  const [mount] = sound.mounts;
  for (const broken of [
    null,
    [],
    { ...sound, version: 2 },
    { ...sound, steps: "none" },
    { ...sound, layers: [null] },
    { ...sound, layers: [{ ...layer, diffID: "sha256:../../../etc/passwd" }] },
    { ...sound, layers: [{ ...layer, blob: 1 }] },
    { ...sound, layers: [{ ...layer, blob: -1 }] },
    { ...sound, steps: [{ ...step, layer: 2 }] },
    { ...sound, steps: [{ ...step, layer: 0.5 }] },
    { ...sound, steps: [{ ...step, key: "../x" }] },
    { ...sound, steps: [{ ...step, created: "now" }] },
    { ...sound, trees: [{ key: `clamped:${zeros}`, value: "" }] },
    { ...sound, trees: [{ key: `tree:${zeros}`, value: [] }] },
    { ...sound, mounts: [{ ...mount, name: "../../etc" }] },
    { ...sound, mounts: [{ ...mount, uid: 2 ** 32 - 1 }] },
    { ...sound, mounts: [{ ...mount, mode: -1 }] },
    { ...sound, mounts: [{ ...mount, blob: 1 }] },
  ])
    expect(() => parse(broken)).toThrow("the build cache is not valid");
  expect(() => parseCacheConfig(Buffer.from("{"), 1)).toThrow("it is not JSON");
});
