import {
  AT_FDCWD,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  RESOLVE_NO_SYMLINKS,
  S_IFCHR,
  S_IFMT,
  S_IFREG,
} from "../linux/constants.ts";
import type { Linux } from "../linux/Linux.ts";
import { copyContents } from "./copyContents.ts";
import { isPrivateAttribute } from "./overlayForm.ts";

/**
 * Copies the regular file `path` of the topmost layer that has it, with all that belongs to it, to `name` in `parent`. False when no layer
 * has it or a layer above has removed it. A hard link cannot cross layers on disk: a layer's directory must stand by itself.
 */
export function copyFromLower(
  linux: Linux,
  lowerPaths: readonly string[],
  path: string,
  parent: number,
  name: string,
): boolean {
  const slash = path.lastIndexOf("/");
  const directory = slash < 0 ? "." : path.slice(0, slash);
  const base = path.slice(slash + 1);
  for (const lower of lowerPaths.toReversed()) {
    const root = linux.openat(AT_FDCWD, lower, O_DIRECTORY);
    let from: number;
    try {
      from = linux.openat2(root, directory, { flags: O_PATH | O_DIRECTORY, resolve: RESOLVE_NO_SYMLINKS });
    } catch {
      continue; // this layer has nothing there
    } finally {
      linux.close(root);
    }
    try {
      const stat = linux.statatOrUndefined(from, base);
      if (stat === undefined) continue;
      const type = stat.mode & S_IFMT;
      if (type === S_IFCHR && stat.rdevMajor === 0 && stat.rdevMinor === 0) return false;
      if (type !== S_IFREG) return false;
      const source = linux.openat(from, base, O_RDONLY | O_NOFOLLOW);
      const target = linux.openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
      try {
        copyContents(linux, source, target, stat.size);
        linux.fchownat(target, "", stat.uid, stat.gid);
        linux.fchmod(target, stat.mode & 0o7777);
        for (const [key, value] of linux.xattrs(source, "")) {
          if (!isPrivateAttribute(key)) linux.setxattr(target, "", key, value);
        }
        linux.utimensat(target, "", { sec: stat.mtimeSec, nsec: stat.mtimeNsec });
      } finally {
        linux.close(source);
        linux.close(target);
      }
      return true;
    } finally {
      linux.close(from);
    }
  }
  return false;
}
