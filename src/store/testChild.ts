/** What the fault tests run and kill: `bun testChild.ts <work> <root> <name>`. It works until it is killed, or for `count` until it is done. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createLinux } from "../linux/createLinux.ts";
import { sha256 } from "../oci/digest.ts";
import { openStore } from "./openStore.ts";

const [work, root = "", name = ""] = process.argv.slice(2);
const store = openStore({ root, linux: createLinux() });

if (work === "count") {
  // A lost update shows where the lock does not hold.
  const file = join(root, "count");
  for (let i = 0; i < 20; i++) {
    await store.locked("count", async () => {
      const before = Number(readFileSync(file, "utf8"));
      await Bun.sleep(Math.random() * 2);
      writeFileSync(file, String(before + 1));
    });
    store.settings.set(`${name} ${i}`, "done");
  }
  store.close();
} else if (work === "collect") {
  process.stdout.write("ready\n");
  const collector = await store.collector();
  for (;;) await collector.collect();
} else if (work === "use") {
  // A build: finds its layer, its download and its cache mount, or makes them, and works with them for a while.
  for (let i = 0; i < 100; i++) {
    const lease = store.lease("use");
    const layer = sha256(`layer ${i % 5}`);
    const download = sha256(`download ${i % 5}`);
    lease.protect("layer", layer);
    if (store.layers.get(layer) === undefined) {
      const directory = lease.directory();
      mkdirSync(join(directory, "d"));
      writeFileSync(join(directory, "d/file"), "x");
      store.layers.adopt(directory, { diffID: layer, tarSize: 1, size: 1, impliedDirs: [] }, lease);
      store.cache.put(`layer ${i % 5}`, "{}", [layer]);
    }
    store.blobs.write(new TextEncoder().encode(`download ${i % 5}`), lease);
    store.cache.put(`download ${i % 5}`, "{}", [], [download]);
    const mount = { name: `m${i % 5}`, id: "m", sharing: "shared" };
    await store.locked(mount.name, async () => {
      store.cacheMounts.use(mount, lease);
      mkdirSync(store.cacheMounts.path(mount.name), { recursive: true });
    });
    for (let n = 0; n < 3; n++) {
      await Bun.sleep(Math.random() * 3);
      readFileSync(join(store.root, "layers", layer.slice("sha256:".length), "fs/d/file"));
      readFileSync(store.blobs.path(download));
      readdirSync(store.cacheMounts.path(mount.name));
      if (store.cache.get(`layer ${i % 5}`) === undefined && store.layers.get(layer) === undefined)
        throw new Error("what is in use was taken");
    }
    lease.release();
  }
  store.close();
} else {
  if (work !== "die") process.stdout.write("ready\n");
  for (let i = 0; ; i++) {
    const lease = store.lease("fault test");
    const text = `${name} ${i} ${"x".repeat(50_000)}`;
    const bytes = new TextEncoder().encode(text);
    const digest = sha256(bytes);
    const stream = new ReadableStream<Uint8Array>({
      async start(controller) {
        for (let at = 0; at < bytes.length; at += 10_000) {
          controller.enqueue(bytes.subarray(at, at + 10_000));
          await Bun.sleep(0);
        }
        controller.close();
      },
    });
    await store.blobs.ingest(stream, { digest, size: bytes.length }, { lease });
    const directory = lease.directory();
    mkdirSync(join(directory, "d"));
    writeFileSync(join(directory, "d/file"), text);
    store.transaction(() => {
      store.layers.adopt(directory, { diffID: digest, tarSize: 1, size: 1, impliedDirs: [] }, lease);
      store.layers.addBlob(digest, { mediaType: "test", digest, size: bytes.length });
    });
    const config = { architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [digest] } };
    const id = store.blobs.write(new TextEncoder().encode(JSON.stringify(config)), lease);
    store.images.put(id);
    if (i % 3 === 2 || work === "die") store.images.remove(id);
    if (work === "die") process.kill(process.pid, "SIGKILL");
    lease.release();
    if (i % 3 === 1) store.images.remove(id);
  }
}
