import { AT_FDCWD, O_DIRECTORY, O_PATH, O_RDONLY, RESOLVE_IN_ROOT } from "../../linux/constants.ts";
import type { Linux, Stat } from "../../linux/Linux.ts";
import { isErrno } from "../../linux/LinuxError.ts";
import { removeAt } from "../../store/removeTree.ts";
import { makeMountStubs, type MountTarget, removeMountStubs } from "../mountStubs.ts";
import { unavailable } from "./unavailable.ts";

/** What stands in for mounts in a root file system that nothing can be mounted in: things that are put there, and taken out again. */
export interface Places {
  /**
   * Moves aside what is at `target` (absolute, links followed inside of the root, made where it is missing) and lets `make` put something in its
   * place. `back`: where what was put is moved in the end, instead of being removed.
   */
  put(target: MountTarget, make: (parent: number, name: string) => void, options?: { back?: string }): void;
  /**
   * Takes all of it out, the last first, and puts back what was there; directories have the times that they would have without. What the process has
   * moved or removed, as it could not with a mount, is left as it is. Idempotent.
   */
  restore(): void;
}

/** `aside`: an empty directory on the file system of `root`. */
export function createPlaces(linux: Linux, { root, aside }: { root: string; aside: string }): Places {
  const rootFd = linux.openat(AT_FDCWD, root, O_PATH | O_DIRECTORY);
  const asideFd = linux.openat(AT_FDCWD, aside, O_RDONLY | O_DIRECTORY);
  const rootPath = linux.readlinkat(AT_FDCWD, `/proc/self/fd/${rootFd}`);
  const undo: (() => void)[] = [];
  let count = 0;

  /** The directory that holds what `target` leads to, open, and its name in it. */
  function locate(target: string): { parent: number; name: string } {
    const fd = linux.openat2(rootFd, target, { flags: O_PATH, resolve: RESOLVE_IN_ROOT });
    let path: string;
    try {
      path = linux.readlinkat(AT_FDCWD, `/proc/self/fd/${fd}`);
    } finally {
      linux.close(fd);
    }
    if (path === rootPath) throw unavailable("a mount that covers the whole root file system");
    if (!path.startsWith(`${rootPath}/`)) throw new Error(`${target} leads out of the root file system`);
    const inside = path.slice(rootPath.length + 1);
    const slash = inside.lastIndexOf("/");
    const how = { flags: O_RDONLY | O_DIRECTORY, resolve: RESOLVE_IN_ROOT };
    return {
      parent: linux.openat2(rootFd, slash < 0 ? "." : inside.slice(0, slash), how),
      name: inside.slice(slash + 1),
    };
  }

  return {
    put(target, make, { back } = {}) {
      const stubs = makeMountStubs(linux, rootFd, [target]);
      const { parent, name } = locate(target.path);
      const kept = String(count++);
      const before = linux.statat(parent, "");
      linux.renameat2(parent, name, asideFd, kept);
      let placed: Stat | undefined;
      undo.push(() => {
        try {
          const now = linux.statat(parent, "");
          const there = linux.statatOrUndefined(parent, name);
          if (back !== undefined && placed !== undefined && there?.ino === placed.ino && there.dev === placed.dev)
            linux.renameat2(parent, name, AT_FDCWD, back);
          else removeAt(linux, parent, name);
          restoreKept(parent, name, kept);
          linux.utimensat(parent, "", { sec: now.mtimeSec, nsec: now.mtimeNsec });
        } finally {
          linux.close(parent);
        }
        removeMountStubs(linux, rootFd, stubs);
      });
      make(parent, name);
      placed = linux.statat(parent, name);
      linux.utimensat(parent, "", { sec: before.mtimeSec, nsec: before.mtimeNsec });
    },
    restore() {
      if (undo.length === 0 && count < 0) return;
      for (let each = undo.pop(); each !== undefined; each = undo.pop()) each();
      if (count < 0) return;
      count = -1;
      linux.close(asideFd);
      linux.close(rootFd);
    },
  };

  function restoreKept(parent: number, name: string, kept: string): void {
    try {
      linux.renameat2(asideFd, kept, parent, name);
    } catch (error) {
      if (!isErrno(error, "ENOENT")) throw error; // the process has removed the directory that it was in
      removeAt(linux, asideFd, kept);
    }
  }
}
