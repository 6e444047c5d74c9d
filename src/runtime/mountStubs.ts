import { statSync } from "node:fs";
import {
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  RESOLVE_IN_ROOT,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from "../linux/constants.ts";
import type { Linux } from "../linux/Linux.ts";
import { isErrno } from "../linux/LinuxError.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import type { SpecMount } from "./spec.ts";

export interface MountTarget {
  /** Absolute, inside the root file system. */
  path: string;
  directory: boolean;
}

/** The places that these mounts need: a directory for a directory, a file for everything else. */
export function mountTargets(mounts: SpecMount[]): MountTarget[] {
  return mounts.map((mount) => ({
    path: mount.target,
    directory:
      mount.type === "tmpfs" || statSync(mount.source as string, { throwIfNoEntry: false })?.isDirectory() === true,
  }));
}

/**
 * Makes the places that something is to be mounted on, where they are missing. `root` is a descriptor of the root file system, which
 * no link leads out of. Parents keep their times. Returns what was made (parents included, top-down), for {@link removeMountStubs}.
 */
export function makeMountStubs(linux: Linux, root: number, targets: MountTarget[]): MountTarget[] {
  const made: MountTarget[] = [];
  for (const target of targets) {
    if (exists(linux, root, target.path)) continue;
    const parts = whereItLeads(linux, root, target.path);
    for (let length = 1; length <= parts.length; length++) {
      const path = `/${parts.slice(0, length).join("/")}`;
      if (exists(linux, root, path)) continue;
      const stub = { path, directory: length < parts.length || target.directory };
      if (inParent(linux, root, path, (parent, name) => makeStub(linux, parent, name, stub.directory))) made.push(stub);
    }
  }
  return made;
}

/** Removes stubs that are still there and still empty. Parents keep their times. */
export function removeMountStubs(linux: Linux, root: number, stubs: MountTarget[]): void {
  for (const stub of stubs.toReversed()) {
    try {
      inParent(linux, root, stub.path, (parent, name) => {
        const stat = linux.statatOrUndefined(parent, name);
        const type = stat === undefined ? 0 : stat.mode & S_IFMT;
        if (stub.directory ? type === S_IFDIR : type === S_IFREG && stat?.size === 0) {
          linux.unlinkat(parent, name, stub.directory);
        }
      });
    } catch (error) {
      // Filled, or made into something else by the container: then it is the container's.
      if (!isErrno(error, "ENOENT", "ENOTEMPTY", "ENOTDIR", "EEXIST", "ELOOP")) throw error;
    }
  }
}

/** Makes the directory `path` with its parents, mode 0755, where it is missing. */
export function makeDirectories(linux: Linux, root: number, path: string): void {
  makeMountStubs(linux, root, [{ path, directory: true }]);
}

/** As far as it is there, links followed inside of the root, dangling ones too: what is missing is made where they lead. @throws SlipwayError `TOO_MANY_LINKS` */
function whereItLeads(linux: Linux, root: number, path: string): string[] {
  const left = path.split("/").toReversed();
  const done: string[] = [];
  for (let links = 0; left.length > 0; ) {
    const part = left.pop() as string;
    if (part === "" || part === ".") continue;
    if (part === "..") {
      done.pop();
      continue;
    }
    const target = linkIn(linux, root, done, part);
    if (target === undefined) {
      done.push(part);
      continue;
    }
    if (++links > MAX_LINKS) {
      throw new SlipwayError("TOO_MANY_LINKS", `the path ${path} leads through too many links in the image`, {
        exitCode: 125,
      });
    }
    if (target.startsWith("/")) done.length = 0;
    left.push(...target.split("/").toReversed());
  }
  return done;
}

const MAX_LINKS = 40; // the kernel's

function linkIn(linux: Linux, root: number, directory: string[], name: string): string | undefined {
  let parent: number;
  try {
    parent = linux.openat2(root, directory.join("/") || ".", { flags: O_PATH | O_DIRECTORY, resolve: RESOLVE_IN_ROOT });
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
  try {
    const stat = linux.statatOrUndefined(parent, name);
    return stat !== undefined && (stat.mode & S_IFMT) === S_IFLNK ? linux.readlinkat(parent, name) : undefined;
  } finally {
    linux.close(parent);
  }
}

function exists(linux: Linux, root: number, path: string): boolean {
  try {
    linux.close(linux.openat2(root, path, { flags: O_PATH, resolve: RESOLVE_IN_ROOT }));
    return true;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return false;
    throw error;
  }
}

function makeStub(linux: Linux, parent: number, name: string, directory: boolean): void {
  try {
    if (directory) linux.mkdirat(parent, name, 0o755);
    else linux.close(linux.openat(parent, name, O_WRONLY | O_CREAT | O_EXCL, 0o644));
  } catch (error) {
    // A dangling link of this name: the runtime resolves it inside the root and makes what it points to.
    if (!isErrno(error, "EEXIST")) throw error;
  }
}

/** Runs `work` on the directory that holds `path`, then gives it back its times. False where there is no such directory. */
function inParent(linux: Linux, root: number, path: string, work: (parent: number, name: string) => void): boolean {
  const slash = path.lastIndexOf("/");
  const parentPath = slash <= 0 ? "." : path.slice(1, slash);
  let parent: number;
  try {
    parent = linux.openat2(root, parentPath, { flags: O_RDONLY | O_DIRECTORY, resolve: RESOLVE_IN_ROOT });
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return false;
    throw error;
  }
  try {
    const before = linux.statat(parent, "");
    work(parent, path.slice(slash + 1));
    linux.utimensat(parent, "", { sec: before.mtimeSec, nsec: before.mtimeNsec });
    return true;
  } finally {
    linux.close(parent);
  }
}
