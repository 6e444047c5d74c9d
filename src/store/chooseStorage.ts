import { closeSync, mkdirSync, openSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { opaqueAttribute } from "../layer/overlayForm.ts";
import { AT_FDCWD, S_IFCHR } from "../linux/constants.ts";
import { inUserNamespace, mappedIds } from "../linux/userNamespace.ts";
import { fuseProgram } from "./fuseProgram.ts";
import { readBootId } from "./leases.ts";
import { createOverlaySnapshotter } from "./overlay.ts";
import type { Snapshotter, StorageName } from "./Snapshotter.ts";
import type { Store } from "./Store.ts";

/** The best storage that works, and why no better one does. */
export interface StorageChoice {
  name: StorageName;
  /** By those that would have been better: the reason, and the command or setting that mends it where one is known. */
  refused: { name: StorageName; reason: string; remedy?: string }[];
}

/**
 * The best storage that works in this store for who calls: each is tried with a file system that is written in. What was found is kept until the host starts
 * anew or fuse-overlayfs is installed, changed or removed.
 */
export function chooseStorage(store: Store): StorageChoice {
  const key = choiceKey();
  const kept = store.settings.get(key);
  if (kept !== undefined) {
    const known = JSON.parse(kept) as StorageChoice & { fuse?: string };
    if (known.name === "overlay" || known.fuse === fuseState()) return known;
  }
  const found = probeStorage(store);
  store.settings.set(key, JSON.stringify(found.name === "overlay" ? found : { ...found, fuse: fuseState() }));
  return found;
}

/** The same without what is kept. */
export function probeStorage(store: Store): StorageChoice {
  const refused: StorageChoice["refused"] = [];
  const overlay = tryOverlay(store);
  if (overlay === undefined) return { name: "overlay", refused };
  refused.push({ name: "overlay", ...overlay });
  const fuse = tryFuse(store);
  if (fuse === undefined) return { name: "fuse", refused };
  refused.push({ name: "fuse", ...fuse });
  return { name: "copy", refused };
}

/** Everything on which the answer depends, but for the store, in which it is kept. */
function choiceKey(): string {
  const ids = inUserNamespace() ? mappedIds().map(({ outside, length }) => `${outside}+${length}`) : [];
  return ["storage 1", readBootId(), String(process.getuid?.()), ...ids].join(" "); // 1: form of the record
}

/** What would make a better one possible, as far as it changes while the host runs. */
function fuseState(): string {
  const program = fuseProgram();
  const device = statSync("/dev/fuse", { throwIfNoEntry: false });
  return JSON.stringify([program, program === null ? 0 : statSync(program).mtimeMs, device?.mode, device?.uid]);
}

type Refusal = { reason: string; remedy?: string };

function tryOverlay(store: Store): Refusal | undefined {
  return trial(store, () => createOverlaySnapshotter(store));
}

function tryFuse(store: Store): Refusal | undefined {
  if (fuseProgram() === null)
    return { reason: "fuse-overlayfs is not installed", remedy: "apt-get install fuse-overlayfs" };
  try {
    closeSync(openSync("/dev/fuse", "r+"));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT")
      return { reason: "there is no /dev/fuse", remedy: "modprobe fuse; in a container: --device /dev/fuse" };
    return { reason: message, ...(code === "EACCES" ? { remedy: "chmod 666 /dev/fuse" } : {}) };
  }
  const { createFuseSnapshotter } = require("./fuse.ts") as typeof import("./fuse.ts");
  return trial(store, () => createFuseSnapshotter(store));
}

/** Mounts an empty root file system and works in it, and makes of the store's file system what a layer needs. */
function trial(store: Store, create: () => Snapshotter): Refusal | undefined {
  const { linux } = store;
  const lease = store.lease("probe");
  try {
    const directory = lease.directory();
    linux.mknodat(AT_FDCWD, join(directory, "whiteout"), S_IFCHR, 0, 0);
    linux.setxattr(AT_FDCWD, directory, opaqueAttribute(linux), Uint8Array.of(0x79));
    const fd = create().prepare([], directory, { volatile: true }).mount();
    try {
      const root = `/proc/self/fd/${fd}`;
      mkdirSync(`${root}/a`);
      writeFileSync(`${root}/a/f`, "1");
      rmSync(`${root}/a`, { recursive: true });
      mkdirSync(`${root}/a`);
    } finally {
      linux.close(fd);
    }
    return undefined;
  } catch (error) {
    const { message, hint } = error as Error & { hint?: string };
    return { reason: message, ...(hint === undefined ? {} : { remedy: hint }) };
  } finally {
    lease.release();
  }
}
