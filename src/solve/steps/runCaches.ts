import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { AT_FDCWD, O_DIRECTORY, O_PATH, RESOLVE_IN_ROOT } from "../../linux/constants.ts";
import { isErrno } from "../../linux/LinuxError.ts";
import type { RunMount, RunStep } from "../../plan/graph.ts";
import { unavailable } from "../../runtime/chroot/unavailable.ts";
import { resolveUser } from "../../runtime/resolveUser.ts";
import type { ResultOf, SolveContext } from "../SolveContext.ts";
import { openResult } from "../tree/openResult.ts";
import { createNodeCopier } from "./copyNode.ts";
import { createLayerWriter, type Owner } from "./layerWriter.ts";

export type CacheMount = Extract<RunMount, { type: "cache" }>;

interface Wanted {
  mount: CacheMount;
  owner: Owner | undefined;
  /** Of the directory, and of the lock on it. */
  name: string;
}

/**
 * The directories of the step's cache mounts. A directory is one for all builds that ask for it by the same id, source, owner and mode;
 * it is filled from `from` when it is made. `locked` waits until no other step has it, `private` takes another while one has it; `releases`
 * give both up. `alone`: one that is shared is of one step at a time, too. A mount that names no owner can be written by the step's user: see {@link ownerOf}.
 */
export async function prepareCaches(
  step: RunStep,
  context: SolveContext,
  resultOf: ResultOf,
  { root: rootFd, releases, alone }: { root: number; releases: (() => void)[]; alone: boolean },
): Promise<Map<CacheMount, string>> {
  const wanted: Wanted[] = [];
  for (const mount of step.mounts) {
    if (mount.type !== "cache") continue;
    const owner = ownerOf(mount, step, context, rootFd);
    const from = await resultOf(mount.from);
    const name = cacheMountName({ ...mount, from: from.kind === "layers" ? from.layers : mount.from, owner });
    wanted.push({ mount, owner, name });
  }
  // In one order for all steps: two that want the same two never wait for each other.
  wanted.sort((a, b) => (a.name < b.name ? -1 : 1));
  const taken = new Map<string, string>();
  const directories = new Map<CacheMount, string>();
  for (const each of wanted) {
    const { mount, name } = each;
    let directory = taken.get(name); // twice in one step: it does not wait for itself
    if (directory === undefined) {
      const sharing = alone && mount.sharing === "shared" ? "locked" : mount.sharing;
      directory = sharing === "shared" ? name : await takeAlone(sharing, name, context, releases);
      taken.set(name, directory);
    } else if (alone) throw unavailable(`one cache at two places of a step (${mount.target})`);
    directories.set(mount, await ensure(each, directory, context, resultOf));
  }
  return directories;
}

/** `from`: the layers that the directory is filled from, none where it begins empty. */
export function cacheMountName(mount: {
  id: string;
  from: readonly string[] | string | undefined;
  source: string;
  mode?: number;
  owner: Owner | undefined;
}): string {
  const parts = [mount.id, mount.from, mount.source, mount.mode, mount.owner];
  return new Bun.SHA256().update(JSON.stringify(parts)).digest("hex").slice(0, 32);
}

/**
 * An owner that is said, in part or whole, counts (what is not said is 0, as BuildKit has it). Where nothing is said: what the mount covers in
 * the image, or the step's user where there is nothing. Undefined: that of the `from` it is a copy of.
 */
function ownerOf(mount: CacheMount, step: RunStep, context: SolveContext, rootFd: number): Owner | undefined {
  if (mount.uid !== undefined || mount.gid !== undefined) return { uid: mount.uid ?? 0, gid: mount.gid ?? 0 };
  if (mount.from !== undefined) return undefined;
  const { linux } = context;
  let covered: number;
  try {
    covered = linux.openat2(rootFd, mount.target, { flags: O_PATH | O_DIRECTORY, resolve: RESOLVE_IN_ROOT });
  } catch (error) {
    if (!isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) throw error;
    const { uid, gid } = resolveUser(linux, rootFd, step.user);
    return { uid, gid };
  }
  try {
    const { uid, gid } = linux.statat(covered, "");
    return { uid, gid };
  } finally {
    linux.close(covered);
  }
}

/** Name of a directory that no other step has, nor gets until its lock is released. */
async function takeAlone(
  sharing: "locked" | "private",
  name: string,
  context: SolveContext,
  releases: (() => void)[],
): Promise<string> {
  const { store, signal } = context;
  for (let n = 0; ; n++) {
    const directory = n === 0 ? name : `${name}-${n}`;
    const key = `cachemount:${directory}`;
    const unlock = sharing === "locked" ? await orAborted(store.lock(key), signal) : store.tryLock(key);
    if (unlock === undefined) continue; // private, and another step has this one: the next
    releases.push(unlock);
    return directory;
  }
}

/** A lock that comes after the abort is given back at once. */
async function orAborted(lock: Promise<() => void>, signal: AbortSignal): Promise<() => void> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => {
    void lock.then((unlock) => unlock());
    aborted.reject(signal.reason);
  };
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([lock, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** Path of the cache directory, made where it is missing: whole or not at all. */
async function ensure(wanted: Wanted, name: string, context: SolveContext, resultOf: ResultOf): Promise<string> {
  const { linux, store } = context;
  const { mount, owner } = wanted;
  const directory = store.cacheMounts.path(name);
  await store.locked(`cachemount-make:${name}`, async () => {
    // Recorded before it is looked for: nobody takes it in between, or while the build goes on.
    store.cacheMounts.use({ name, id: mount.id, sharing: mount.sharing }, context.lease);
    if (linux.statatOrUndefined(AT_FDCWD, directory) !== undefined) return;
    const aside = join(context.lease.directory(), "cache");
    mkdirSync(aside, { mode: 0o700 });
    const fd = linux.openat(AT_FDCWD, aside, O_DIRECTORY);
    let [given, mode] = [owner ?? { uid: 0, gid: 0 }, 0o755];
    try {
      const imported = await context.imported?.mount(wanted.name, aside);
      if (imported !== undefined) {
        given = owner ?? imported;
        mode = imported.mode;
      } else if (mount.from !== undefined) {
        const opened = await openResult(context, await resultOf(mount.from));
        try {
          const node = opened.tree.lookup(mount.source, true);
          if (node !== undefined) {
            const writer = createLayerWriter(linux, fd, undefined);
            createNodeCopier(linux, opened.tree, writer, {}).copy(node, "", true);
            writer.finish();
            if (!opened.tree.rootOwned) given = owner ?? { uid: node.stat.uid, gid: node.stat.gid };
            mode = node.stat.mode & 0o7777;
          }
        } finally {
          opened.close();
        }
      }
      linux.fchownat(fd, "", given.uid, given.gid);
      linux.fchmod(fd, mount.mode ?? mode);
    } finally {
      linux.close(fd);
    }
    linux.renameat2(AT_FDCWD, aside, AT_FDCWD, directory);
  });
  return directory;
}
