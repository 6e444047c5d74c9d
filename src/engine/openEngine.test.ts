import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { loadConfig } from "./openEngine.ts";

test("flags win over the environment, and that over the user's file; $SLIPWAY_CONFIG replaces the files", () =>
  withTempDirectory((directory) => {
    mkdirSync(join(directory, "slipway"));
    writeFileSync(join(directory, "slipway/config.json"), JSON.stringify({ root: "/user", runtime: "runc" }));
    const env = { XDG_CONFIG_HOME: directory };
    expect(loadConfig(env, 0, {})).toEqual({ root: "/user", runtime: "runc", registries: {} });
    expect(loadConfig({ ...env, SLIPWAY_ROOT: "/env" }, 0, {}).root).toBe("/env");
    expect(loadConfig({ ...env, SLIPWAY_ROOT: "/env" }, 0, { root: "/flag" }).root).toBe("/flag");
    const other = join(directory, "other.json");
    writeFileSync(other, JSON.stringify({ registries: { "r.example": { http: true, mirrors: ["m.example"] } } }));
    expect(loadConfig({ ...env, SLIPWAY_CONFIG: other }, 0, {})).toEqual({
      root: "/var/lib/slipway",
      registries: { "r.example": { http: true, mirrors: ["m.example"] } },
    });
  }));

test("a configuration that is not understood is an error that names the file and the key", () =>
  withTempDirectory((directory) => {
    const file = join(directory, "c.json");
    for (const [text, why] of [
      ["{", "not valid"],
      ['{"rooot":"/x"}', '"rooot" is not known'],
      ['{"root":1}', '"root" must be a text'],
      ['{"registries":{"r.example":{"http":"yes"}}}', 'registry "r.example"'],
    ] as const) {
      writeFileSync(file, text);
      expect(() => loadConfig({ SLIPWAY_CONFIG: file }, 0, {})).toThrow(why);
    }
    expect(() => loadConfig({ SLIPWAY_CONFIG: `${file}.none` }, 0, {})).toThrow("cannot be read");
  }));
