import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { createLinux } from "../linux/createLinux.ts";
import { digestHex } from "../oci/digest.ts";
import { openStore } from "./openStore.ts";
import type { Store } from "./Store.ts";

const linux = createLinux();

function child(work: string, root: string, name: string) {
  return Bun.spawn([process.execPath, join(import.meta.dir, "testChild.ts"), work, root, name], {
    stdout: "pipe",
    stderr: "inherit",
  });
}

test("what one process does under a lock, no other does at the same time; records of all of them are kept", async () => {
  await withTempDirectory(async (directory) => {
    const root = join(directory, "store");
    mkdirSync(root);
    writeFileSync(join(root, "count"), "0");
    // All four make the new store at once.
    const children = ["a", "b", "c", "d"].map((name) => child("count", root, name));
    expect(await Promise.all(children.map((each) => each.exited))).toEqual([0, 0, 0, 0]);
    expect(readFileSync(join(root, "count"), "utf8")).toBe("80");
    const store = openStore({ root, linux });
    for (const name of ["a", "b", "c", "d"]) {
      for (let i = 0; i < 20; i++) expect(store.settings.get(`${name} ${i}`)).toBe("done");
    }
    expect(readdirSync(join(root, "locks"))).toEqual([]);
    store.close();
  });
}, 60_000);

test("kill -9 at any instant leaves no record that names what is not there, and the sweep leaves nothing unrecorded", async () => {
  await withTempDirectory(async (directory) => {
    const root = join(directory, "store");
    for (let round = 0; round < 50; round++) {
      const victim = child("work", root, String(round));
      await victim.stdout.getReader().read();
      await Bun.sleep(Math.random() * 40);
      victim.kill(9);
      await victim.exited;
      const store = openStore({ root, linux });
      try {
        expectRecordsTrue(store);
        store.sweep();
        expectRecordsTrue(store);
        expectNothingUnrecorded(store);
      } finally {
        store.close();
      }
    }
  });
}, 300_000);

test("collectors of other processes, also killed ones, take nothing that is in use, and leave nothing behind", async () => {
  await withTempDirectory(async (directory) => {
    const root = join(directory, "store");
    openStore({ root, linux }).close();
    const users = ["a", "b"].map((name) => child("use", root, name));
    let working = true;
    const done = Promise.all(users.map((each) => each.exited)).finally(() => {
      working = false;
    });
    let rounds = 0;
    while (working) {
      const collectors = ["c", "d"].map((name) => child("collect", root, name));
      await Promise.all(collectors.map((each) => each.stdout.getReader().read()));
      await Bun.sleep(50 + Math.random() * 100);
      for (const each of collectors) each.kill(9);
      await Promise.all(collectors.map((each) => each.exited));
      rounds++;
    }
    expect(await done).toEqual([0, 0]);
    expect(rounds).toBeGreaterThan(1);
    const store = openStore({ root, linux });
    try {
      store.sweep();
      for (const { path } of store.layers.list()) expect(readFileSync(join(path, "d/file"), "utf8")).toBe("x");
      await (await store.collector()).collect();
      for (const place of ["layers", "caches", "blobs/sha256", "tmp", "l"])
        expect(readdirSync(join(root, place))).toEqual([]);
      expect(store.cacheMounts.list()).toEqual([]);
    } finally {
      store.close();
    }
  });
}, 60_000);

function expectRecordsTrue(store: Store): void {
  for (const layer of store.layers.list()) {
    expect(readFileSync(join(layer.path, "d/file"), "utf8")).toHaveLength(
      readFileSync(store.blobs.path(layer.diffID)).length,
    );
    expect(() => store.blobs.read(layer.diffID)).not.toThrow();
  }
  for (const image of store.images.list()) {
    expect(() => store.blobs.read(image.id)).not.toThrow();
    for (const diffID of image.config.rootfs.diff_ids) expect(store.layers.get(diffID)).toBeDefined();
  }
}

function expectNothingUnrecorded(store: Store): void {
  const layers = store.layers.list().map(({ diffID }) => digestHex(diffID));
  expect(readdirSync(join(store.root, "layers")).sort()).toEqual(layers.sort());
  expect(readdirSync(join(store.root, "tmp"))).toEqual([]);
  const named = new Set<string>([...layers, ...store.images.list().map(({ id }) => digestHex(id))]);
  for (const { digest } of store.blobs.list()) expect(named.has(digestHex(digest))).toBe(true);
  expect(existsSync(join(store.root, "slipway.db"))).toBe(true);
}
