import { O_DIRECTORY, O_NOFOLLOW, O_RDONLY, S_IFCHR, S_IFDIR, S_IFMT, S_IFREG } from "../linux/constants.ts";
import type { Linux } from "../linux/Linux.ts";
import { OPAQUE_NAME, OPAQUE_VALUE, opaqueAttribute, WHITEOUT_PREFIX } from "./overlayForm.ts";

/** fuse-overlayfs puts this beside its opaque mark, for its older versions. */
const OLD_OPAQUE_NAME = ".wh..opq";
const ATTRIBUTES = "user.fuseoverlayfs.";

/**
 * Turns a directory that fuse-overlayfs has written in into kernel overlayfs's form (fuse-overlayfs.1): its marks are files of whiteouts' names and
 * attributes of its own. Idempotent; nothing may be mounted on it. Times of directories stay.
 */
export function fromFuseForm(linux: Linux, directory: number): void {
  const { mtimeSec, mtimeNsec } = linux.statat(directory, "");
  let touched = false;
  let opaque = false;
  for (const { name, stat } of linux.readdirStats(directory)) {
    const type = stat.mode & S_IFMT;
    if (name.startsWith(WHITEOUT_PREFIX) && type !== S_IFDIR) {
      linux.unlinkat(directory, name);
      touched = true;
      if (name === OPAQUE_NAME) opaque = true;
      else if (name !== OLD_OPAQUE_NAME) whiteout(linux, directory, name.slice(WHITEOUT_PREFIX.length));
    } else if (type === S_IFDIR) {
      const child = linux.openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      try {
        fromFuseForm(linux, child);
      } finally {
        linux.close(child);
      }
    } else if (type === S_IFREG) unmark(linux, directory, name);
  }
  for (const [key, value] of linux.xattrs(directory, ""))
    if (key === `${ATTRIBUTES}opaque` && value[0] === OPAQUE_VALUE[0]) opaque = true;
  unmark(linux, directory, "");
  if (opaque) linux.setxattr(directory, "", opaqueAttribute(linux), OPAQUE_VALUE);
  if (touched) linux.utimensat(directory, "", { sec: mtimeSec, nsec: mtimeNsec });
}

function unmark(linux: Linux, directory: number, name: string): void {
  for (const [key] of linux.xattrs(directory, name))
    if (key.startsWith(ATTRIBUTES)) linux.removexattr(directory, name, key);
}

function whiteout(linux: Linux, directory: number, name: string): void {
  if (linux.statatOrUndefined(directory, name) === undefined) linux.mknodat(directory, name, S_IFCHR, 0, 0);
}
