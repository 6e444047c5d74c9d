import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AT_FDCWD, O_CREAT, O_RDONLY, O_WRONLY } from "../linux/constants.ts";
import { probeStorage, type StorageChoice } from "./chooseStorage.ts";
import type { StorageName } from "./Snapshotter.ts";
import type { Store } from "./Store.ts";

/** For `slipway info`: how root file systems are made here, and how to come to a better way. */
export interface StorageAbout {
  name: StorageName;
  how: string;
  /** What keeps the better ones from being taken, and the commands that mend it. */
  missing?: string;
}

/** Tries it now, whatever is kept: a person who has just mended something wants to see it. */
export function describeStorage(store: Store): StorageAbout {
  const { storage } = store;
  const found = probeStorage(store);
  const name = storage === "auto" ? found.name : storage;
  const asked = storage === "auto" ? "" : "; it was asked for";
  const refused = found.refused.filter((each) => storage === "auto" || each.name === storage).map(refusalText);
  return {
    name,
    how: `${howOf(store, name)}${asked}`,
    ...(refused.length === 0 ? {} : { missing: refused.join("; ") }),
  };
}

function refusalText({ name, reason, remedy }: StorageChoice["refused"][number]): string {
  return `${name}: ${reason}${remedy === undefined ? "" : ` (${remedy})`}`;
}

function howOf(store: Store, name: StorageName): string {
  if (name === "fuse") return "fuse-overlayfs, a process a mount";
  if (name === "copy")
    return hasReflink(store)
      ? "plain copies that share their blocks with the layers (reflink)"
      : "plain copies; the store's file system has no reflink, so that each takes the room of its image";
  const marks = store.linux.overlayAttributes() === "user.overlay." ? ", its marks in user attributes" : "";
  return `overlayfs of the kernel${marks}`;
}

function hasReflink({ linux, lease: takeLease }: Store): boolean {
  const lease = takeLease("probe");
  try {
    const directory = join(lease.directory(), "reflink");
    mkdirSync(directory);
    writeFileSync(join(directory, "a"), "1");
    const from = linux.openat(AT_FDCWD, join(directory, "a"), O_RDONLY);
    const to = linux.openat(AT_FDCWD, join(directory, "b"), O_WRONLY | O_CREAT, 0o600);
    try {
      return linux.reflink(from, to);
    } finally {
      linux.close(from);
      linux.close(to);
    }
  } finally {
    lease.release();
  }
}
