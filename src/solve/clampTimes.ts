import { AT_FDCWD, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, S_IFDIR, S_IFMT } from "../linux/constants.ts";
import type { Linux, Stat } from "../linux/Linux.ts";
import { isWhiteout } from "../layer/overlayForm.ts";

/**
 * Sets every modification time in the directory, its own too, that is later than `epoch` (seconds) to just that: of files of every type and
 * of directories, which what is done in them changes. Whiteouts are left alone: they have no time in a tar.
 */
export function clampTimes(linux: Linux, directory: string, epoch: number): void {
  const time = { sec: epoch, nsec: 0 };

  function isLater({ mtimeSec, mtimeNsec }: Stat): boolean {
    return mtimeSec > epoch || (mtimeSec === epoch && mtimeNsec > 0);
  }

  function walk(fd: number): void {
    for (const { name } of linux.readdir(fd)) {
      const stat = linux.statat(fd, name);
      const type = stat.mode & S_IFMT;
      if (type === S_IFDIR) {
        const child = linux.openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        try {
          walk(child);
        } finally {
          linux.close(child);
        }
      } else if (isWhiteout(stat)) continue;
      if (isLater(stat)) linux.utimensat(fd, name, time);
    }
  }

  const root = linux.openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  try {
    walk(root);
    if (isLater(linux.statat(root, ""))) linux.utimensat(root, "", time);
  } finally {
    linux.close(root);
  }
}
