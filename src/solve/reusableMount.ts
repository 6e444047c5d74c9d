import { mkdirSync } from "node:fs";
import { AT_FDCWD, MNT_DETACH } from "../linux/constants.ts";
import type { Linux } from "../linux/Linux.ts";

/** A file system that more than one process runs in, one after the other. */
export interface ReusableMount {
  /** A detached mount of it, to be attached once; its descriptor is ours. */
  copy(): number;
  close(): void;
}

/**
 * Attaches the detached mount `fd` at `place`, a directory that is made: the kernel copies only mounts that are attached, and a mount that
 * was taken away is never attached again. Takes `fd` over. Must run in the process's private mount namespace.
 */
export function reusableMount(linux: Linux, fd: number, place: string): ReusableMount {
  const descriptors = [fd];
  mkdirSync(place, { mode: 0o700 });
  linux.moveMount(fd, place);
  return {
    copy() {
      const copied = linux.openTree(AT_FDCWD, place);
      descriptors.push(copied);
      return copied;
    },
    close() {
      linux.umount(place, MNT_DETACH);
      for (const each of descriptors) linux.close(each);
    },
  };
}
