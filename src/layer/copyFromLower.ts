import {
  AT_FDCWD,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_WRONLY,
  S_IFMT,
  S_IFREG,
} from "../linux/constants.ts";
import type { Linux } from "../linux/Linux.ts";
import { copyContents } from "./copyContents.ts";
import { findInLayers } from "./findInLayers.ts";
import { isPrivateAttribute } from "./overlayForm.ts";

export interface LowerFile {
  /** The directory of the layer that is being made: it hides what it hides. */
  root: number;
  /** Directories of the layers below, lowest first. */
  lowerPaths: readonly string[];
  path: string;
}

/**
 * Copies the regular file that is seen through the layer at `path`, with all that belongs to it, to `name` in `parent`. The number of its
 * bytes; undefined when no such file is seen. A hard link cannot cross layers on disk: a layer's directory must stand by itself.
 */
export function copyFromLower(
  linux: Linux,
  { root, lowerPaths, path }: LowerFile,
  parent: number,
  name: string,
): number | undefined {
  const roots = [root];
  try {
    for (const lower of lowerPaths.toReversed()) roots.push(linux.openat(AT_FDCWD, lower, O_DIRECTORY));
    const found = findInLayers(linux, roots, path);
    if (found === undefined || (found.stat.mode & S_IFMT) !== S_IFREG) return undefined;
    const { stat } = found;
    const source = linux.openat(roots[found.layer] as number, found.path, O_RDONLY | O_NOFOLLOW);
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
    return stat.size;
  } finally {
    for (const fd of roots.slice(1)) linux.close(fd);
  }
}
