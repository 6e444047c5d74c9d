import { bring } from "../bring.ts";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  AT_FDCWD,
  MNT_DETACH,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOSUID,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_PATH,
  O_WRONLY,
  RESOLVE_IN_ROOT,
} from "../../linux/constants.ts";
import { isErrno } from "../../linux/LinuxError.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { RunMount, RunStep } from "../../plan/graph.ts";
import { serveAgent } from "../../runtime/agentSocket.ts";
import type { SpecMount } from "../../runtime/spec.ts";
import type { Snapshot } from "../../store/Snapshotter.ts";
import type { ResultOf, SolveContext, StepResult } from "../SolveContext.ts";
import { createNodeCopier } from "./copyNode.ts";
import { createLayerWriter } from "./layerWriter.ts";
import { timeOfWork } from "./writeCopies.ts";
import { prepareCaches } from "./runCaches.ts";

/** What `RUN --mount` comes to for one run. `release` gives up locks and mounts; it must be called after the run. */
export interface PreparedMounts {
  mounts: SpecMount[];
  /** From `type=secret,env=…`. */
  env: string[];
  release(): void;
}

/**
 * Brings every mount of the step, and its heredoc scripts, to a place that the runtime can bind from. Must run in the process's private mount namespace: sources are
 * mounted below the build's lease. Secrets lie on a tmpfs that ends with the step. Where nothing may be mounted, sources are directories of the lease that
 * may be used up, and a cache is of one step at a time, whatever its sharing.
 */
export async function prepareMounts(
  step: RunStep,
  context: SolveContext,
  resultOf: ResultOf,
  { root: rootFd, mayMount }: { root: number; mayMount: boolean },
): Promise<PreparedMounts> {
  const releases: (() => void)[] = [];
  const mounts: SpecMount[] = step.pipes.map((pipe) => {
    const file = join(context.lease.directory(), pipe.name.replaceAll("/", "_"));
    writeFileSync(file, pipe.content, { mode: 0o755 });
    return bind(file, `/dev/pipes/${pipe.name}`, true);
  });
  const env: string[] = [];
  const place = mayMount ? placer(context, releases) : undefined;
  try {
    const caches = await prepareCaches(step, context, resultOf, { root: rootFd, releases, alone: !mayMount });
    for (const mount of step.mounts) {
      switch (mount.type) {
        case "tmpfs":
          mounts.push({
            target: mount.target,
            type: "tmpfs",
            readOnly: false,
            options: ["mode=1777", ...(mount.size === undefined ? [] : [`size=${mount.size}`])],
          });
          break;
        case "bind":
          mounts.push({
            ...bind(await bindSource(mount, context, resultOf, place, releases), mount.target, mount.readOnly),
            own: "given",
          });
          break;
        case "cache":
          mounts.push({ ...bind(caches.get(mount) as string, mount.target, mount.readOnly), own: "lent" });
          break;
        case "secret": {
          const bytes = secretBytes(mount, step, context);
          if (bytes === undefined) break;
          if (mount.env !== undefined) env.push(`${mount.env}=${Buffer.from(bytes).toString("utf8")}`);
          if (mount.target !== undefined)
            mounts.push({ ...bind(secretFile(mount, bytes, context, place), mount.target, true), own: "given" });
          break;
        }
        case "ssh": {
          const upstream = await context.ssh.socket(mount.id);
          if (upstream !== undefined) {
            const { mode, uid, gid } = mount;
            const path = join(context.lease.directory(), "agent");
            const agent = await serveAgent(context.linux, { upstream, path, mode, uid, gid });
            releases.push(() => agent.close());
            mounts.push(bind(path, mount.target, false));
          } else if (mount.required) {
            throw new SlipwayError("SSH_MISSING", `the step needs the ssh agent ${JSON.stringify(mount.id)}`, {
              hint: `Give it with --ssh ${mount.id}`,
              ...(step.range === undefined ? {} : { range: step.range }),
            });
          }
          break;
        }
      }
    }
  } catch (error) {
    for (const release of releases.reverse()) release();
    throw error;
  }
  // BuildKit's order, whatever the Dockerfile's: what lies in another mount comes after it.
  mounts.sort((a, b) => (a.target < b.target ? -1 : 1));
  return {
    mounts,
    env,
    release: () => {
      for (const release of releases.reverse()) release();
    },
  };
}

type Mount<T extends RunMount["type"]> = Extract<RunMount, { type: T }>;
/** Attaches a detached mount at a path of its own and returns that. The descriptor stays open, and the caller's. */
type Place = (mountFd: number) => string;

function placer(context: SolveContext, releases: (() => void)[]): Place {
  const { linux, lease } = context;
  return (mountFd) => {
    const path = join(lease.directory(), "mount");
    mkdirSync(path, { mode: 0o700 });
    linux.moveMount(mountFd, path);
    releases.push(() => linux.umount(path, MNT_DETACH));
    return path;
  };
}

function bind(source: string, target: string, readOnly: boolean): SpecMount {
  return { target, type: "bind", source, readOnly };
}

/** Read-only: the files themselves. Writable: an overlay on them, whose writes end with the step. */
async function bindSource(
  mount: Mount<"bind">,
  context: SolveContext,
  resultOf: ResultOf,
  place: Place | undefined,
  releases: (() => void)[],
): Promise<string> {
  const { linux, lease, snapshotter, store } = context;
  const result = await resultOf(mount.from);
  if (result.kind === "layers") {
    await bring(context, result.layers, "a step mounts files of it");
    const records = result.layers.map((diffID) => store.layers.require(diffID));
    const view = mount.readOnly && place !== undefined ? snapshotter.view(records) : undefined;
    // One that nobody else looks at, where it may be used up.
    const snapshot =
      view === undefined ? snapshotter.prepare(records, lease.directory(), { volatile: true }) : undefined;
    const fd =
      place === undefined && snapshot?.path !== undefined
        ? linux.openat(AT_FDCWD, snapshot.path, O_PATH | O_DIRECTORY)
        : (view?.fd ?? (snapshot as Snapshot).mount());
    releases.push(() => (view === undefined ? linux.close(fd) : view.close()));
    place?.(fd);
    return pathInside(context, fd, mount.source);
  }
  const copied = linux.openat(AT_FDCWD, materialise(context, result, mount.source), O_PATH | O_DIRECTORY);
  releases.push(() => linux.close(copied));
  return pathInside(context, copied, mount.source);
}

/** The path, in this process's mount namespace, of `source` inside the attached mount `rootFd`: links in it lead nowhere else. */
function pathInside(context: SolveContext, rootFd: number, source: string): string {
  const { linux } = context;
  const path = source.replace(/^\/+/, "");
  let fd: number;
  try {
    fd = linux.openat2(rootFd, path === "" ? "." : path, { flags: O_PATH, resolve: RESOLVE_IN_ROOT });
  } catch (error) {
    if (!isErrno(error, "ENOENT", "ENOTDIR")) throw error;
    throw new SlipwayError("MOUNT_SOURCE_NOT_FOUND", `mount source ${JSON.stringify(source)} not found`, {
      cause: error,
    });
  }
  try {
    return linux.readlinkat(AT_FDCWD, `/proc/thread-self/fd/${fd}`);
  } finally {
    linux.close(fd);
  }
}

/** A context's files (those that its ignore file leaves) as a directory of the lease. */
function materialise(context: SolveContext, result: Extract<StepResult, { kind: "tree" }>, source: string): string {
  const { linux, lease } = context;
  const directory = lease.directory();
  const fd = linux.openat(AT_FDCWD, directory, O_DIRECTORY);
  const writer = createLayerWriter(linux, fd, undefined);
  try {
    const path = source.replace(/^\/+/, "").replace(/\/+$/, "");
    const node = result.tree.lookup(path, true);
    if (node === undefined) {
      throw new SlipwayError(
        "MOUNT_SOURCE_NOT_FOUND",
        `mount source ${JSON.stringify(source)} not found in the build context`,
      );
    }
    const now = timeOfWork(context);
    writer.mkdirAll(path.slice(0, Math.max(0, path.lastIndexOf("/"))), { uid: 0, gid: 0 }, now);
    createNodeCopier(linux, result.tree, writer, context.epoch === undefined ? {} : { time: now }).copy(
      node,
      path,
      false,
    );
  } finally {
    writer.finish();
    linux.close(fd);
  }
  return directory;
}

function secretBytes(mount: Mount<"secret">, step: RunStep, context: SolveContext): Uint8Array | undefined {
  const secret = context.secrets.get(mount.id);
  if (secret !== undefined) return secret.read();
  if (!mount.required) return undefined;
  throw new SlipwayError("SECRET_MISSING", `the step needs the secret ${JSON.stringify(mount.id)}`, {
    hint: `Give it with --secret id=${mount.id},src=FILE`,
    ...(step.range === undefined ? {} : { range: step.range }),
  });
}

/** On a tmpfs of its own: the bytes are never on a disk, and gone with the mount. Where nothing may be mounted, a file of the lease. */
function secretFile(
  mount: Mount<"secret">,
  bytes: Uint8Array,
  context: SolveContext,
  place: Place | undefined,
): string {
  const { linux } = context;
  const write = (directory: number): void => {
    const file = linux.openat(directory, "secret", O_WRONLY | O_CREAT | O_EXCL, 0o600);
    try {
      linux.write(file, bytes);
      linux.fchownat(file, "", mount.uid, mount.gid);
      linux.fchmod(file, mount.mode);
    } finally {
      linux.close(file);
    }
  };
  if (place === undefined) {
    const directory = context.lease.directory();
    const fd = linux.openat(AT_FDCWD, directory, O_DIRECTORY);
    try {
      write(fd);
    } finally {
      linux.close(fd);
    }
    return join(directory, "secret");
  }
  const fs = linux.fsopen("tmpfs");
  let fd: number;
  try {
    linux.fsconfigString(fs, "mode", "0700");
    linux.fsconfigCreate(fs);
    fd = linux.fsmount(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  } finally {
    linux.close(fs);
  }
  try {
    write(fd);
    return join(place(fd), "secret");
  } finally {
    linux.close(fd);
  }
}
