import { O_NONBLOCK, O_RDONLY, RESOLVE_IN_ROOT, S_IFMT, S_IFREG } from "../linux/constants.ts";
import type { Linux } from "../linux/Linux.ts";

/**
 * A file of an image's root file system as text. No link leads out of `root`, and a FIFO in the file's place does not hang the open. Undefined
 * where it is no regular file of at most `maxBytes`. @throws LinuxError where it cannot be opened, `ENOENT` among others
 */
export function readRootFile(linux: Linux, root: number, path: string, maxBytes: number): string | undefined {
  const fd = linux.openat2(root, path, { flags: O_RDONLY | O_NONBLOCK, resolve: RESOLVE_IN_ROOT });
  try {
    const stat = linux.statat(fd, "");
    if ((stat.mode & S_IFMT) !== S_IFREG || stat.size > maxBytes) return undefined;
    const bytes = new Uint8Array(stat.size);
    let length = 0;
    while (length < bytes.length) {
      const count = linux.read(fd, bytes.subarray(length));
      if (count === 0) break;
      length += count;
    }
    return new TextDecoder().decode(bytes.subarray(0, length));
  } finally {
    linux.close(fd);
  }
}
