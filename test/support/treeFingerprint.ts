import { AT_FDCWD, O_DIRECTORY, O_NOFOLLOW, S_IFDIR } from "../../src/linux/constants.ts";
import type { Linux } from "../../src/linux/Linux.ts";

/** Digest over path, type, mode, owner, size, times and inode of everything below `directory`: equal only if nothing was touched. */
export function treeFingerprint(linux: Linux, directory: string): string {
  const hash = new Bun.SHA256();

  function walk(fd: number, path: string): void {
    const entries = linux.readdir(fd).sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const { name, type } of entries) {
      hash.update(`${path}/${name} ${JSON.stringify(linux.statat(fd, name))}\n`);
      if (type !== S_IFDIR) continue; // links are not followed: they may lead round in a circle
      const below = linux.openat(fd, name, O_DIRECTORY | O_NOFOLLOW);
      walk(below, `${path}/${name}`);
      linux.close(below);
    }
  }

  const root = linux.openat(AT_FDCWD, directory, O_DIRECTORY);
  hash.update(JSON.stringify(linux.statat(root, "")));
  walk(root, "");
  linux.close(root);
  return hash.digest("hex");
}
