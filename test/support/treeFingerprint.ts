import { constants, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Linux } from "../../src/linux/Linux.ts";

/** Digest over path, type, mode, owner, size, times and inode of everything below `directory`: equal only if nothing was touched. */
export function treeFingerprint(linux: Linux, directory: string): string {
  const hash = new Bun.SHA256();
  const paths = (readdirSync(directory, { recursive: true }) as string[]).sort();
  const fd = linux.openat(-100, directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    for (const path of ["", ...paths])
      hash.update(`${join(directory, path)} ${JSON.stringify(linux.statat(fd, path))}\n`);
  } finally {
    linux.close(fd);
  }
  return hash.digest("hex");
}
