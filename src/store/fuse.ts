import { existsSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fromFuseForm } from "../layer/fromFuseForm.ts";
import { AT_FDCWD, MNT_DETACH } from "../linux/constants.ts";
import type { Linux } from "../linux/Linux.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { fuseProgram } from "./fuseProgram.ts";
import { removeTree } from "./removeTree.ts";
import type { Snapshotter } from "./Snapshotter.ts";
import type { Store } from "./Store.ts";
import { createUpperSnapshotter, stackOptions, within } from "./upperSnapshotter.ts";

/** Beside an upper directory that may have marks of fuse-overlayfs. */
const MARK = "fuse";

/**
 * fuse-overlayfs, for kernels and file systems with which overlayfs cannot be mounted in a user namespace. Its process, one a mount, ends with the last
 * that uses the mount. It reads layers in kernel overlayfs's form; what it has written itself is brought into that.
 */
export function createFuseSnapshotter(store: Store): Snapshotter {
  const { linux, root } = store;
  return createUpperSnapshotter(store, {
    name: "fuse",
    mount(stack, writable) {
      const options = stackOptions(root, stack, writable);
      if (writable !== undefined) options.push("writeback=0"); // so that all is written when the last process has ended
      return mountDetached(store, options);
    },
    prepared: (directory) => writeFileSync(join(directory, MARK), ""),
    normalise: (upper) => fromFuseForm(linux, upper),
  });
}

/** Brings what fuse-overlayfs has written in a directory that was prepared into the form that kernel overlayfs takes up. */
export function takeOverFromFuse(linux: Linux, directory: string): void {
  if (!existsSync(join(directory, MARK))) return;
  within(linux, join(directory, "upper"), (fd) => fromFuseForm(linux, fd));
  unlinkSync(join(directory, MARK));
}

/** The place where the program puts the mount is left again at once. */
function mountDetached(store: Store, options: string[]): number {
  const { linux, root } = store;
  const program = fuseProgram();
  if (program === null) throw failure("the program is not installed", "Install it: apt-get install fuse-overlayfs");
  const lease = store.lease("mount");
  const target = lease.directory();
  try {
    const { exitCode, stderr } = Bun.spawnSync([program, "-o", options.join(","), target], {
      cwd: root,
      stdio: ["ignore", "ignore", "pipe"],
    });
    // It says, of every mount, that it takes no notice of an option that it has given itself.
    const said = stderr.toString().replaceAll(/^unknown argument ignored.*\n/gm, "");
    if (exitCode !== 0) throw failure(said.trim().split("\n").join("; "));
    try {
      return linux.openTree(AT_FDCWD, target);
    } finally {
      linux.umount(target, MNT_DETACH);
    }
  } finally {
    removeTree(linux, target);
    lease.release();
  }
}

function failure(why: string, hint?: string): SlipwayError {
  return new SlipwayError(
    "MOUNT_FAILED",
    `fuse-overlayfs cannot be mounted: ${why}`,
    hint === undefined ? {} : { hint },
  );
}
