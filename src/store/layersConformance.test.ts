import { describe, expect, test } from "bun:test";
import { existsSync, lstatSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { conformance } from "../../test/support/conformance.ts";
import { type MadeEntry, makeTar, packTree, unpackTar } from "../../test/support/layerTar.ts";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { createTarReader } from "../layer/tarReader.ts";
import { createLinux } from "../linux/createLinux.ts";
import { openStore } from "./openStore.ts";
import { createOverlaySnapshotter } from "./overlay.ts";
import type { LayerRecord, Lease, Store } from "./Store.ts";

const linux = createLinux();
const table = conformance("layers");

function withStore(work: (store: Store, lease: Lease) => void): Promise<void> {
  return withTempDirectory((directory) => {
    const store = openStore({ root: join(directory, "store"), linux });
    try {
      work(store, store.lease("test"));
    } finally {
      store.close();
    }
  });
}

function layerOf(store: Store, lease: Lease, entries: MadeEntry[]): LayerRecord {
  const directory = lease.directory();
  return store.layers.adopt(directory, unpackTar(linux, directory, makeTar(entries)), lease);
}

function inside(mountfd: number, work: (root: string) => void): void {
  try {
    work(`/proc/self/fd/${mountfd}`);
  } finally {
    linux.close(mountfd);
  }
}

/** Names of a tar's entries, folders with a slash, with the bytes of files. */
function entriesOf(tar: Uint8Array): Record<string, string> {
  const entries: Record<string, string> = {};
  let name = "";
  const reader = createTarReader({
    entry({ path }) {
      name = path;
      entries[name] = "";
    },
    data(chunk) {
      entries[name] += Buffer.from(chunk).toString();
    },
    hole() {},
    end() {},
  });
  reader.push(tar);
  reader.finish();
  return entries;
}

test.skipIf(table === undefined)(
  "conformance, layers.json: every table has its test (skipped where the shared folder is not there)",
  () => {
    const here = ["whiteoutName", "makeWhiteout", "diff"];
    const inLayer = ["apply", "whiteoutName", "pathScoping", "implicitParents", "hardlinks"];
    expect(new Set(Object.keys(table))).toEqual(new Set(["source", ...here, ...inLayer]));
  },
);

describe.skipIf(table === undefined)("conformance, layers.json (absent where the shared folder is)", () => {
  for (const row of (table?.whiteoutName ?? []).filter((each: { error?: string }) => each.error === undefined)) {
    test(`${row.id} ${row.name}: what is there goes, with all that is in it, and the folder around it keeps its times`, () =>
      withStore((store, lease) => {
        const time = { sec: 1_234_567_890, nsec: 123_000_000 };
        const parents = dirname(row.existing)
          .split("/")
          .filter((part: string) => part !== ".");
        const folders = parents.map(
          (_: string, i: number): MadeEntry => ({
            path: `${parents.slice(0, i + 1).join("/")}/`,
            type: "directory",
            mode: 0o750,
            mtime: { ...time, nsec: 0 },
          }),
        );
        const existing: MadeEntry[] =
          row.existingType === "file"
            ? [{ path: row.existing, content: "x" }]
            : [
                { path: `${row.existing}/`, type: "directory", mode: 0o755 },
                { path: `${row.existing}/a`, content: "x" },
                { path: `${row.existing}/sub/b`, content: "x" },
              ];
        const lower = layerOf(store, lease, [...folders, ...existing, { path: join(dirname(row.existing), "beside") }]);
        const upper = layerOf(store, lease, [{ path: row.entry }]);
        const snapshotter = createOverlaySnapshotter(store);
        inside(snapshotter.view([lower]).fd, (root) => expect(existsSync(join(root, row.removed))).toBe(true));
        inside(snapshotter.view([lower, upper]).fd, (root) => {
          expect(existsSync(join(root, row.removed))).toBe(false);
          expect(existsSync(join(root, dirname(row.existing), "beside"))).toBe(true);
          for (const { path } of folders) {
            const { mtimeMs, mode } = statSync(join(root, path));
            expect([path, mtimeMs, mode & 0o7777]).toEqual([path, time.sec * 1000, 0o750]);
          }
        });
      }));
  }

  for (const row of table?.makeWhiteout ?? []) {
    test(`${row.id} ${row.removed}: what is removed is packed as its whiteout`, () =>
      withStore((store, lease) => {
        const path = row.removed.replace(/\/\.?$/, "");
        const isFile = path === row.removed;
        const lower = layerOf(store, lease, [isFile ? { path } : { path: `${path}/f` }]);
        const { layer, mount } = createOverlaySnapshotter(store).prepare([lower], lease.directory());
        inside(mount(), (root) => rmSync(join(root, path), { recursive: true }));
        expect(Object.keys(entriesOf(packTree(linux, layer())))).toContain(row.entry);
      }));
  }

  for (const row of table?.diff ?? []) {
    test(`${row.id} ${row.name}: a layer has what changed, and the folders that hold it as containerd has them`, () =>
      withStore((store, lease) => {
        const lower = layerOf(store, lease, row.before);
        const { layer, mount } = createOverlaySnapshotter(store).prepare([lower], lease.directory());
        inside(mount(), (root) => {
          for (const { path, content } of row.write) {
            mkdirSync(dirname(join(root, path)), { recursive: true });
            writeFileSync(join(root, path), content);
          }
          for (const path of row.remove) rmSync(join(root, path));
          for (const path of row.remove) expect(() => lstatSync(join(root, path))).toThrow("ENOENT");
        });
        // umoci leaves out a folder that did not change itself (`some/`); containerd and BuildKit write all parents of what changed.
        const expected: Record<string, string> = { "some/": "" };
        for (const { path, content = "" } of row.entries) expected[path] = content;
        expect(entriesOf(packTree(linux, layer()))).toEqual(expected);
      }));
  }
});
