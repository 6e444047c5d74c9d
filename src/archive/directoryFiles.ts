import { AT_FDCWD, O_DIRECTORY, O_PATH, O_RDONLY, RESOLVE_IN_ROOT, S_IFMT, S_IFREG } from "../linux/constants.ts";
import type { Linux } from "../linux/Linux.ts";
import { isErrno } from "../linux/LinuxError.ts";
import type { ArchiveFiles } from "./archiveFiles.ts";
import { rangeStream } from "./rangeStream.ts";

/** A directory as an archive: no link leads out of it. */
export function openDirectoryFiles(linux: Linux, directory: string): ArchiveFiles {
  const root = linux.openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);

  function open(path: string, flags: number): number | undefined {
    try {
      return linux.openat2(root, path, { flags, resolve: RESOLVE_IN_ROOT });
    } catch (error) {
      if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) return undefined;
      throw error;
    }
  }

  return {
    name: directory,
    size(path) {
      const fd = open(path, O_PATH);
      if (fd === undefined) return undefined;
      try {
        const { mode, size } = linux.statat(fd, "");
        return (mode & S_IFMT) === S_IFREG ? size : undefined;
      } finally {
        linux.close(fd);
      }
    },
    stream(path) {
      const fd = open(path, O_RDONLY);
      if (fd === undefined) throw new Error(`${path} of ${directory} was there a moment ago`);
      return rangeStream(linux, fd, { start: 0, size: linux.statat(fd, "").size }, () => linux.close(fd));
    },
    close: () => linux.close(root),
  };
}
