import { expect, test } from "bun:test";
import { missingPackages } from "./packages.mjs";

test("a machine with everything misses nothing, and one with nothing is told each package", () => {
  expect(missingPackages(["run", "registry", "test"], () => true)).toEqual([]);
  expect(missingPackages(["run"], () => false)).toEqual([["crun", "runc"], ["conmon"], ["ca-certificates"]]);
});

test("either OCI runtime is enough", () => {
  expect(missingPackages(["run"], (path) => !path.endsWith("/crun"))).toEqual([]);
});
