import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { limitsOf } from "./build/cacheLimits.ts";
import { lossMessage, loadConfig } from "./openEngine.ts";

test("flags win over the environment, and that over the user's file; $SLIPWAY_CONFIG replaces the files", () =>
  withTempDirectory((directory) => {
    mkdirSync(join(directory, "slipway"));
    writeFileSync(
      join(directory, "slipway/config.json"),
      JSON.stringify({ root: "/user", runtime: "runc", storage: "fuse" }),
    );
    const env = { XDG_CONFIG_HOME: directory };
    expect(loadConfig(env, 0, {})).toEqual({ root: "/user", runtime: "runc", storage: "fuse", registries: {} });
    expect(loadConfig({ ...env, SLIPWAY_STORAGE: "copy" }, 0, {}).storage).toBe("copy");
    expect(loadConfig({ ...env, SLIPWAY_STORAGE: "copy" }, 0, { storage: "auto" }).storage).toBe("auto");
    expect(() => loadConfig(env, 0, { storage: "zfs" })).toThrow('there is no storage "zfs"');
    expect(loadConfig({ ...env, SLIPWAY_ROOT: "/env" }, 0, {}).root).toBe("/env");
    expect(loadConfig({ ...env, SLIPWAY_ROOT: "/env" }, 0, { root: "/flag" }).root).toBe("/flag");
    const other = join(directory, "other.json");
    writeFileSync(other, JSON.stringify({ registries: { "r.example": { http: true, mirrors: ["m.example"] } } }));
    expect(loadConfig({ ...env, SLIPWAY_CONFIG: other }, 0, {})).toEqual({
      root: "/var/lib/slipway",
      registries: { "r.example": { http: true, mirrors: ["m.example"] } },
    });
  }));

test("sizes are said in bytes, in powers of 1000 or 1024, or as a part of the disk; times in hours, days and weeks", () =>
  withTempDirectory((directory) => {
    const file = join(directory, "c.json");
    writeFileSync(
      file,
      JSON.stringify({
        ...{ maxUsedSpace: "1.5GB", reservedSpace: "2GiB", minFreeSpace: "20%", keepDuration: "1w2d" },
        history: { maxEntries: 5, maxAge: 60 },
      }),
    );
    const { cache } = loadConfig({ SLIPWAY_CONFIG: file }, 0, {});
    expect(cache).toEqual({
      maxUsedSpace: { bytes: 1_500_000_000 },
      reservedSpace: { bytes: 2 * 1024 ** 3 },
      minFreeSpace: { part: 0.2 },
      keepDuration: 9 * 86_400_000,
      history: { maxEntries: 5, maxAge: 60_000 },
    });
    expect(limitsOf(cache ?? {}, directory).minFreeSpace).toBeGreaterThan(1_000_000);
    writeFileSync(file, JSON.stringify({ maxUsedSpace: 4096, keepDuration: 3600 }));
    expect(loadConfig({ SLIPWAY_CONFIG: file }, 0, {}).cache).toEqual({
      maxUsedSpace: { bytes: 4096 },
      keepDuration: 3_600_000,
    });
  }));

test("a configuration that is not understood is an error that names the file and the key", () =>
  withTempDirectory((directory) => {
    const file = join(directory, "c.json");
    for (const [text, why] of [
      ["{", "not valid"],
      ['{"rooot":"/x"}', '"rooot" is not known'],
      ['{"root":1}', '"root" must be a text'],
      ['{"maxUsedSpace":"10 bananas"}', '"maxUsedSpace" must be a size like "10GB" or "20%", not "10 bananas"'],
      ['{"minFreeSpace":"101%"}', '"minFreeSpace" must be a size'],
      ['{"keepDuration":"soon"}', '"keepDuration" must be a time like "48h"'],
      ['{"history":{"maxEntries":-1}}', '"history" must be {'],
      ['{"registries":{"r.example":{"http":"yes"}}}', 'registry "r.example"'],
    ] as const) {
      writeFileSync(file, text);
      expect(() => loadConfig({ SLIPWAY_CONFIG: file }, 0, {})).toThrow(why);
    }
    expect(() => loadConfig({ SLIPWAY_CONFIG: `${file}.none` }, 0, {})).toThrow("cannot be read");
  }));

test("what a loss of power has taken is said in whole sentences, also where no image had it", () => {
  const when = "not all had reached the disk when the machine stopped: ";
  expect(lossMessage(2, [])).toBe(`${when}2 layers are lost; no image had them`);
  expect(lossMessage(1, ["sha256:a", "sha256:b"])).toBe(
    `${when}1 layer is lost, and removed are the images sha256:a, sha256:b`,
  );
});
