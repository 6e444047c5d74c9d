import type { Linux } from "../linux/Linux.ts";
import {
  AT_FDCWD,
  MNT_DETACH,
  MOUNT_ATTR_RDONLY,
  MS_RDONLY,
  O_CLOEXEC,
  O_DIRECTORY,
  O_RDONLY,
} from "../linux/constants.ts";
import { isErrno } from "../linux/LinuxError.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import type { StackedLayer } from "./impliedDirs.ts";
import { removeTree } from "./removeTree.ts";
import type { Snapshotter } from "./Snapshotter.ts";
import type { Store } from "./Store.ts";
import { createUpperSnapshotter, stackOptions, type Writable } from "./upperSnapshotter.ts";

/** `fsconfig`: one `lowerdir+` a layer (Linux 6.7). `mount`: mount(2) with paths relative to the store's root, for older kernels. */
export type OverlayWay = "fsconfig" | "mount";

/** fs/fsopen.c: a string parameter has at most 255 bytes. */
const PARAMETER_LIMIT = 255;
const NO_PARAMETER = "no-parameter-of-overlayfs";

/**
 * Kernel overlayfs. Features that put more than whiteouts and opaque marks into an upper directory are off, so that it can become a layer
 * as it is: what overlayfs leaves there besides (`origin`, `impure`) is ignored in a lower layer.
 *
 * The way is found at the first mount where it is not given. `mount` changes the working directory of the process for the time of the call.
 */
export function createOverlaySnapshotter(store: Store, { way }: { way?: OverlayWay } = {}): Snapshotter {
  const { linux } = store;
  let known = way;

  function mountOverlay(stack: StackedLayer[], writable?: Writable): number {
    if (known !== "mount") {
      const mountfd = mountByFsconfig(linux, stack, writable, known === undefined);
      if (mountfd !== undefined) {
        known = "fsconfig";
        return mountfd;
      }
      known = "mount";
    }
    return mountByMount(store, stack, writable);
  }

  return createUpperSnapshotter(store, { name: "overlay", mount: mountOverlay });
}

/** `userxattr` puts its marks into attributes that anybody may write, and knows neither redirects nor metacopy: it refuses to hear of them. */
function featureOptions(linux: Linux): [key: string, value?: string][] {
  const own: [string, string?][] =
    linux.overlayAttributes() === "user.overlay."
      ? [["userxattr"]]
      : [
          ["redirect_dir", "off"],
          ["metacopy", "off"],
        ];
  return [...own, ["index", "off"], ["xino", "off"]];
}

/** Undefined where `probing` and the kernel knows no `lowerdir+`, or no file system contexts, of its own or of overlayfs. */
function mountByFsconfig(
  linux: Linux,
  stack: StackedLayer[],
  writable: Writable | undefined,
  probing: boolean,
): number | undefined {
  let fsfd: number;
  try {
    fsfd = linux.fsopen("overlay");
  } catch (error) {
    if (probing && isErrno(error, "ENOSYS")) return undefined;
    throw mountFailure(error, "");
  }
  const held: number[] = [];
  /** A path that is too long for a parameter goes by a descriptor. */
  const parameter = (path: string): string => {
    if (Buffer.byteLength(path) <= PARAMETER_LIMIT && !path.includes("\\")) return path;
    const fd = linux.openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    held.push(fd);
    return `/proc/self/fd/${fd}`;
  };
  try {
    if (probing && takesAnything(linux, fsfd)) return undefined;
    for (const [i, layer] of stack.toReversed().entries()) {
      try {
        linux.fsconfigString(fsfd, "lowerdir+", parameter(layer.path));
      } catch (error) {
        if (probing && i === 0 && isErrno(error, "EINVAL")) return undefined;
        throw error;
      }
    }
    if (writable !== undefined) {
      linux.fsconfigString(fsfd, "upperdir", parameter(writable.upper));
      linux.fsconfigString(fsfd, "workdir", parameter(writable.work));
      if (writable.volatile) linux.fsconfigFlag(fsfd, "volatile");
    }
    for (const [key, value] of featureOptions(linux)) {
      if (value === undefined) linux.fsconfigFlag(fsfd, key);
      else linux.fsconfigString(fsfd, key, value);
    }
    linux.fsconfigCreate(fsfd);
    return linux.fsmount(fsfd, writable === undefined ? MOUNT_ATTR_RDONLY : 0);
  } catch (error) {
    throw mountFailure(error, linux.fsMessages(fsfd));
  } finally {
    linux.close(fsfd);
    for (const fd of held) linux.close(fd);
  }
}

/**
 * A file system without contexts of its own (overlayfs before Linux 6.5) is told of its parameters at the end, all in one line, whatever they
 * are: it would refuse `lowerdir+` only then, and in the kernel's log.
 */
function takesAnything(linux: Linux, fsfd: number): boolean {
  try {
    linux.fsconfigString(fsfd, NO_PARAMETER, "");
    return true;
  } catch (error) {
    if (!isErrno(error, "EINVAL")) throw error;
    linux.fsMessages(fsfd); // what it says of this is of no use to anybody
    return false;
  }
}

function mountByMount(store: Store, stack: StackedLayer[], writable: Writable | undefined): number {
  const { linux, root } = store;
  const options = stackOptions(root, stack, writable);
  for (const [key, value] of featureOptions(linux)) options.push(value === undefined ? key : `${key}=${value}`);
  const lease = store.lease("mount");
  const target = lease.directory();
  const before = process.cwd();
  try {
    process.chdir(root);
    linux.mount("overlay", target, "overlay", writable === undefined ? MS_RDONLY : 0, options.join(","));
    try {
      return linux.openTree(AT_FDCWD, target);
    } finally {
      linux.umount(target, MNT_DETACH);
    }
  } catch (error) {
    throw mountFailure(error, "");
  } finally {
    process.chdir(before);
    removeTree(linux, target);
    lease.release();
  }
}

/** @returns SlipwayError `MOUNT_FAILED` */
function mountFailure(error: unknown, messages: string): SlipwayError {
  const said = messages.trim().split("\n").join("; ");
  const denied = isErrno(error, "EPERM", "EACCES");
  return new SlipwayError(
    "MOUNT_FAILED",
    `overlayfs cannot be mounted: ${said === "" ? (error as Error).message : said}`,
    {
      cause: error,
      ...(denied ? { hint: "Mounting needs root, or a user namespace in which overlayfs may be mounted." } : {}),
    },
  );
}
