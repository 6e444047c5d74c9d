import type { Stat } from "../linux/Linux.ts";
import type { TarEntry, TarEntryType } from "./tarReader.ts";

/** What a tar says of a file on the disk, in whole seconds; without its size, link target and attributes. */
export function fileEntry(path: string, stat: Stat, type: TarEntryType): TarEntry {
  return {
    path,
    type,
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    size: 0,
    mtime: { sec: stat.mtimeSec, nsec: 0 },
    linkname: "",
    major: stat.rdevMajor,
    minor: stat.rdevMinor,
    xattrs: [],
  };
}
