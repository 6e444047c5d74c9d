import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Readable, type Transform } from "node:stream";
import { extractArchive } from "../../layer/archive.ts";
import { packLayer } from "../../layer/packLayer.ts";
import { AT_FDCWD, O_CREAT, O_DIRECTORY, O_EXCL, O_RDWR, RENAME_EXCHANGE } from "../../linux/constants.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { cacheMountName } from "../../solve/steps/runCaches.ts";
import type { CacheEntry } from "../../store/collector.ts";
import type { CacheMountRecord, Lease } from "../../store/Store.ts";
import type { Engine } from "../Engine.ts";

export interface CacheMountUsage extends CacheMountRecord {
  /** Bytes on the disk. */
  size: number;
  /** A running build has used it, and may again. */
  inUse: boolean;
}

/** The directories of `RUN --mount=type=cache`, by their ids. One id has several where steps ask for it with other owners, modes or contents. */
export async function cacheMounts(engine: Engine, id?: string): Promise<CacheMountUsage[]> {
  const collector = await engine.store.collector();
  const entries = new Map(collector.entries().map((entry): [string, CacheEntry] => [entry.id, entry]));
  return engine.store.cacheMounts.list().flatMap((record) => {
    const entry = entries.get(record.name);
    if (entry === undefined || (id !== undefined && record.id !== id)) return [];
    return [{ ...record, size: entry.size, inUse: entry.inUse }];
  });
}

/** Which one is meant: by its id, or by the name of its directory where several have that. */
export interface WhichMount {
  id?: string;
  name?: string;
}

export type Compression = "none" | "gzip" | "zstd";

/**
 * Gives the directory's content as a tar, the same bytes for the same content. A step that has it `locked` waits meanwhile.
 * @throws SlipwayError `CACHE_MOUNT_NOT_FOUND`, `CACHE_MOUNT_AMBIGUOUS`, `CACHE_MOUNT_IN_USE`
 */
export async function exportCacheMount(
  engine: Engine,
  which: WhichMount,
  output: { compression: Compression; write(bytes: Uint8Array): void },
): Promise<CacheMountRecord> {
  const { store } = engine;
  const mount = find(engine, which);
  if (mount === undefined) throw notFound(which);
  return alone(engine, mount, async (lease) => {
    lease.protectCacheMount(mount.name);
    const tar = Readable.from(copied(packLayer(store.linux, store.cacheMounts.path(mount.name))), {
      objectMode: false,
    });
    const compressor = await compressorOf(output.compression);
    const stream = compressor === undefined ? tar : tar.pipe(compressor);
    tar.on("error", (error) => stream.destroy(error));
    for await (const chunk of stream) {
      engine.signal.throwIfAborted();
      output.write(chunk as Uint8Array);
    }
    return mount;
  });
}

/**
 * Puts the content of a tar (plain, or compressed in any way that ADD knows) in the place of what the directory holds, whole or not at all. A
 * directory that is not there yet is made as a step of the given owner asks for it: `uid`, `gid` and `mode` of the mount.
 * @throws SlipwayError those of `exportCacheMount`, and of the unpacker
 */
export async function importCacheMount(
  engine: Engine,
  which: WhichMount,
  input: { chunks: AsyncIterable<Uint8Array>; uid?: number; gid?: number; mode?: number },
): Promise<CacheMountRecord> {
  const { store } = engine;
  const { linux } = store;
  const known = find(engine, which);
  if (known === undefined && which.id === undefined) throw notFound(which);
  const id = known?.id ?? (which.id as string);
  const owner = { uid: input.uid ?? 0, gid: input.gid ?? 0 };
  const { mode } = input;
  const name =
    known?.name ?? cacheMountName({ id, from: [], source: "", owner, ...(mode === undefined ? {} : { mode }) });
  const mount = { name, id, sharing: known?.sharing ?? "shared" };

  const lease = store.lease("import cache mount");
  try {
    const directory = join(lease.directory(), "content");
    mkdirSync(directory, { mode: 0o700 });
    const file = linux.openat(AT_FDCWD, join(lease.directory(), "tar"), O_RDWR | O_CREAT | O_EXCL, 0o600);
    try {
      for await (const chunk of input.chunks) {
        engine.signal.throwIfAborted();
        linux.write(file, chunk);
      }
      await extractArchive({ linux, fd: file, directory });
    } finally {
      linux.close(file);
    }
    return await alone(engine, mount, () =>
      store.locked(`cachemount-make:${name}`, async () => {
        const place = store.cacheMounts.path(name);
        store.transaction(() => {
          if (store.cacheMounts.isHeld(name)) throw inUse(mount);
          const old = linux.statatOrUndefined(AT_FDCWD, place);
          setRoot(directory, old ?? { ...owner, mode: mode ?? 0o755 });
          store.cacheMounts.use(mount, lease);
          linux.renameat2(AT_FDCWD, directory, AT_FDCWD, place, old === undefined ? 0 : RENAME_EXCHANGE);
        });
        return find(engine, { name }) as CacheMountRecord;
      }),
    );
  } finally {
    lease.release();
  }

  function setRoot(path: string, like: { uid: number; gid: number; mode: number }): void {
    const fd = linux.openat(AT_FDCWD, path, O_DIRECTORY);
    linux.fchownat(fd, "", like.uid, like.gid);
    linux.fchmod(fd, like.mode & 0o7777);
    linux.close(fd);
  }
}

/** While no other step has it locked, and no build has used it that is still running. */
async function alone<T>(
  engine: Engine,
  mount: { name: string; id: string },
  work: (lease: Lease) => Promise<T>,
): Promise<T> {
  const { store } = engine;
  const unlock = store.tryLock(`cachemount:${mount.name}`);
  if (unlock === undefined) throw inUse(mount);
  const lease = store.lease("cache mount");
  try {
    if (store.cacheMounts.isHeld(mount.name)) throw inUse(mount);
    return await work(lease);
  } finally {
    lease.release();
    unlock();
  }
}

function find(engine: Engine, { id, name }: WhichMount): CacheMountRecord | undefined {
  const found = engine.store.cacheMounts
    .list()
    .filter((record) => (id === undefined || record.id === id) && (name === undefined || record.name === name));
  if (found.length > 1)
    throw new SlipwayError("CACHE_MOUNT_AMBIGUOUS", `there are ${found.length} cache mounts with the id ${id}`, {
      hint: `Say which by --name: ${found.map((record) => record.name).join(", ")}`,
    });
  return found[0];
}

function notFound({ id, name }: WhichMount): SlipwayError {
  return new SlipwayError("CACHE_MOUNT_NOT_FOUND", `no such cache mount: ${id ?? name ?? ""}`, {
    hint: "`slipway cache ls` lists them. The id of a mount that says none is its target.",
  });
}

function inUse({ id }: { id: string }): SlipwayError {
  return new SlipwayError("CACHE_MOUNT_IN_USE", `the cache mount ${id} is in use by a running build`, {
    hint: "Wait until it has ended.",
  });
}

/** A piece of `packLayer` is only valid until the next one. */
function* copied(pieces: Iterable<Uint8Array>): Generator<Uint8Array> {
  for (const piece of pieces) yield piece.slice();
}

async function compressorOf(compression: Compression): Promise<Transform | undefined> {
  if (compression === "none") return undefined;
  const zlib = await import("node:zlib");
  return compression === "gzip" ? zlib.createGzip() : zlib.createZstdCompress();
}
