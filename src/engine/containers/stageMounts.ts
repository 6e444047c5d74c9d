import { mkdirSync, writeFileSync } from "node:fs";
import { AT_FDCWD, O_DIRECTORY, O_PATH, RESOLVE_IN_ROOT, S_IFDIR, S_IFMT } from "../../linux/constants.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { MountNamespace } from "../../runtime/MountNamespace.ts";
import type { SpecMount } from "../../runtime/spec.ts";
import type { ContainerMount } from "./ContainerOptions.ts";
import type { Engine } from "../Engine.ts";

/**
 * The container's mounts as the runtime takes them. What is no plain directory of the host (a path inside of a volume, an image) is first
 * attached below `directory` in our namespace; `detach` takes that away again once the container has it. No link in a volume leads out of it.
 * @throws SlipwayError `INVALID_VOLUME`
 */
export function stageMounts(
  engine: Engine,
  mounts: readonly ContainerMount[],
  options: { directory: string; namespace: MountNamespace; staged: string[] },
): SpecMount[] {
  const { linux } = engine.store;
  return mounts.map((mount): SpecMount => {
    const { target, readOnly } = mount;
    if (mount.type === "tmpfs") return { target, type: "tmpfs", readOnly, options: mount.mountOptions ?? [] };
    if (mount.type === "bind") {
      const binding = mount.mountOptions === undefined ? {} : { binding: mount.mountOptions };
      return { target, type: "bind", source: mount.source, readOnly, ...binding };
    }
    if (mount.type === "volume" && mount.subpath === undefined) {
      return { target, type: "bind", source: mount.source, readOnly };
    }
    return { target, type: "bind", source: stage(mount), readOnly };
  });

  function stage(mount: ContainerMount): string {
    const base = mount.type === "image" ? imageRoot(mount) : linux.openat(AT_FDCWD, mount.source, O_PATH | O_DIRECTORY);
    try {
      const fd = mount.type === "image" && mount.subpath === undefined ? base : inside(base, mount);
      try {
        const place = `${options.directory}/mounts/${options.staged.length}`;
        const isDirectory = (linux.statat(fd, "").mode & S_IFMT) === S_IFDIR;
        mkdirSync(isDirectory ? place : `${options.directory}/mounts`, { recursive: true });
        if (!isDirectory) writeFileSync(place, "");
        // A view is a detached mount already; of a place in a file system a copy is made.
        const tree = fd === base ? base : linux.openTree(fd, "", true);
        try {
          options.namespace.attach(tree, place);
        } finally {
          if (tree !== base) linux.close(tree);
        }
        options.staged.push(place);
        return place;
      } finally {
        if (fd !== base) linux.close(fd);
      }
    } finally {
      linux.close(base);
    }
  }

  /** A plain copy has to last as long as the container; a mount does by itself. */
  function imageRoot(mount: ContainerMount): number {
    const { layers, snapshotter } = engine.store;
    const records = (mount.layers ?? []).map((diffID) => layers.require(diffID));
    if (snapshotter.name !== "copy") return snapshotter.view(records).fd;
    const own = `${options.directory}/images/${options.staged.length}`;
    mkdirSync(own, { recursive: true, mode: 0o700 });
    return snapshotter.prepare(records, own).mount();
  }

  function inside(base: number, mount: ContainerMount): number {
    try {
      return linux.openat2(base, mount.subpath ?? ".", { flags: O_PATH, resolve: RESOLVE_IN_ROOT });
    } catch (error) {
      throw new SlipwayError("INVALID_VOLUME", `cannot access path ${mount.subpath} of ${mount.name ?? mount.source}`, {
        cause: error,
        exitCode: 125,
      });
    }
  }
}
