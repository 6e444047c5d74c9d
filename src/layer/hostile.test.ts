import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { freshDirectory, type MadeEntry, makeTar, unpackTar, withOverlay } from "../../test/support/layerTar.ts";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { AT_FDCWD, O_DIRECTORY, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, S_IFDIR } from "../linux/constants.ts";
import { createLinux } from "../linux/createLinux.ts";
import type { Stat } from "../linux/Linux.ts";
import { isErrno } from "../linux/LinuxError.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { baseName, cleanPath, parentPath } from "./entryPath.ts";
import { findInLayers } from "./findInLayers.ts";
import { describeLayer } from "./packLayer.ts";

const linux = createLinux();

const part = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom("a", "b", "c", "a", "b", "..", ".", "", ".wh.a", ".wh.b", ".wh..wh..opq") },
  { weight: 1, arbitrary: fc.constant("n".repeat(256)) },
);
const path = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
const entry: fc.Arbitrary<MadeEntry> = fc.record({
  path: path.filter((each) => each !== ""),
  type: fc.constantFrom("file", "file", "directory", "directory", "symlink", "hardlink", "char", "fifo"),
  linkname: fc.oneof(
    path,
    path.map((each) => `/${each}`),
  ),
  content: fc.constantFrom("", "1", "12345"),
  mode: fc.constantFrom(0o755, 0o000, 0o7777),
  uid: fc.constantFrom(0, 1000, 2 ** 32 - 2),
  major: fc.constantFrom(1, 1, 1, 1, 0, 4096),
  minor: fc.constantFrom(0, 3),
});

test(
  "any archive is unpacked inside, to what its record says, or refused by a SlipwayError that leaves nothing open",
  () =>
    withTempDirectory((directory) => {
      const outside = join(directory, "outside");
      mkdirSync(outside);
      writeFileSync(join(outside, "a"), "kept");
      const lower = freshDirectory(directory);
      unpackTar(
        linux,
        lower,
        makeTar([{ path: "a/b", content: "low" }, { path: "b", type: "symlink", linkname: "a" }, { path: "c" }]),
      );
      const below = describeLayer(linux, lower);
      const around = () => readdirSync(directory).filter((name) => !name.startsWith("layer-"));
      let refusals = 0;
      const runs = 300;
      fc.assert(
        fc.property(
          fc.array(entry, { maxLength: 12 }),
          fc.constantFrom("overlay", "overlay", "literal"),
          (entries, whiteouts) => {
            const root = freshDirectory(directory);
            const open = readdirSync("/proc/self/fd").length;
            const bytes = makeTar(entries.map((each) => (each.type === "file" ? each : { ...each, content: "" })));
            try {
              const options = whiteouts === "literal" ? { whiteouts: "literal" as const } : { lowerPaths: [lower] };
              const { size } = unpackTar(linux, root, bytes, options);
              expect(describeLayer(linux, root).size).toBe(size);
            } catch (error) {
              if (!(error instanceof SlipwayError)) throw error;
              refusals++;
            }
            expect(readdirSync("/proc/self/fd").length).toBe(open);
            expect(around()).toEqual(["outside"]);
            rmSync(root, { recursive: true });
          },
        ),
        { numRuns: runs },
      );
      expect(refusals).toBeLessThan(runs);
      expect(readdirSync(outside)).toEqual(["a"]);
      expect(describeLayer(linux, lower)).toEqual(below);
    }),
  30_000,
);

test(
  "what a hard link finds in the layers below is what the kernel shows there",
  () =>
    withTempDirectory((directory) => {
      const plain = path.filter((each) => each !== "" && !each.includes("n"));
      const some = fc.array(
        entry.filter((each) => !`${each.path}${each.linkname}`.includes("n") && each.type !== "hardlink"),
        { maxLength: 8 },
      );
      const layers = fc.array(some, { minLength: 2, maxLength: 4 });
      let seen = 0;
      fc.assert(
        fc.property(layers, fc.array(plain, { minLength: 20, maxLength: 20 }), (archives, paths) => {
          const made: string[] = [];
          for (const entries of archives) {
            const root = freshDirectory(directory);
            try {
              unpackTar(
                linux,
                root,
                makeTar(entries.map((each) => (each.type === "file" ? each : { ...each, content: "" }))),
              );
            } catch (error) {
              if (!(error instanceof SlipwayError)) throw error;
            }
            made.push(root);
          }
          const roots = made.toReversed().map((root) => linux.openat(AT_FDCWD, root, O_DIRECTORY));
          withOverlay(linux, made, (merged) => {
            const top = linux.openat(AT_FDCWD, merged, O_DIRECTORY);
            for (const each of paths.map(cleanPath).filter((clean) => clean !== "")) {
              const shown = kernelStat(top, each);
              const found = findInLayers(linux, roots, each)?.stat;
              const facts = (stat: Stat | undefined) =>
                stat && [stat.mode, stat.uid, stat.rdevMajor, stat.mode & S_IFDIR ? 0 : stat.ino];
              expect([each, facts(found)]).toEqual([each, facts(shown)]);
              if (shown !== undefined) seen++;
            }
            linux.close(top);
          });
          for (const fd of roots) linux.close(fd);
          for (const root of made) rmSync(root, { recursive: true });
        }),
        { numRuns: 100 },
      );
      expect(seen).toBeGreaterThan(50);
    }),
  30_000,
);

function kernelStat(root: number, at: string): Stat | undefined {
  let parent: number;
  try {
    const how = { flags: O_DIRECTORY, resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
    parent = linux.openat2(root, parentPath(at) || ".", how);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) return undefined;
    throw error;
  }
  try {
    return linux.statatOrUndefined(parent, baseName(at));
  } finally {
    linux.close(parent);
  }
}
