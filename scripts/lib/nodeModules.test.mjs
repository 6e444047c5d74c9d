import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeModulesAreFresh } from "./nodeModules.mjs";

test("node_modules is stale when the lock file names another version or a package more", () => {
  const folder = mkdtempSync(join(tmpdir(), "slipway-test-"));
  const write = (path, packages) => writeFileSync(join(folder, path), JSON.stringify({ packages }));
  try {
    mkdirSync(join(folder, "node_modules"));
    write("package-lock.json", {
      "": {},
      "node_modules/a": { version: "1.0.0" },
      "node_modules/windows-only": { version: "1.0.0", optional: true },
    });
    expect(nodeModulesAreFresh(folder)).toBe(false);
    write("node_modules/.package-lock.json", { "node_modules/a": { version: "1.0.0" } });
    expect(nodeModulesAreFresh(folder)).toBe(true);
    write("node_modules/.package-lock.json", { "node_modules/a": { version: "0.9.0" } });
    expect(nodeModulesAreFresh(folder)).toBe(false);
    write("node_modules/.package-lock.json", {});
    expect(nodeModulesAreFresh(folder)).toBe(false);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
