import { mkdirSync } from "node:fs";
import { AT_FDCWD, MS_BIND, MS_RDONLY, MS_REC, O_DIRECTORY, O_PATH, RESOLVE_IN_ROOT } from "../../linux/constants.ts";
import { isAlive } from "../../linux/processStart.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { enterMountNamespace, remountBind } from "../../runtime/MountNamespace.ts";
import { makeMountStubs, mountTargets } from "../../runtime/mountStubs.ts";
import type { ContainerRecord } from "../../store/Store.ts";
import { containerFiles } from "./containerFiles.ts";
import { containerOptions } from "./ContainerOptions.ts";
import { isUp, startLock } from "./containerState.ts";
import type { Engine } from "../Engine.ts";
import { stageMounts } from "./stageMounts.ts";

/**
 * Runs `work` with a descriptor of the container's root as its processes see it, volumes included. One that does not run is mounted meanwhile,
 * in a namespace of this process, and nobody starts it then. @throws SlipwayError `CONTAINER_NOT_RUNNING` where it ends just now
 */
export async function withContainerRoot<T>(
  engine: Engine,
  record: ContainerRecord,
  work: (root: number) => Promise<T>,
): Promise<T> {
  const { linux } = engine.store;
  if (isUp(record)) {
    const root = linux.openat(AT_FDCWD, `/proc/${record.pid}/root`, O_PATH | O_DIRECTORY);
    try {
      if (!isAlive(record.pid, record.pidStart)) {
        throw new SlipwayError("CONTAINER_NOT_RUNNING", `container ${record.name} has just ended: try again`);
      }
      return await work(root);
    } finally {
      linux.close(root);
    }
  }
  const unlock = await engine.store.lock(startLock(record.id));
  try {
    return await withMounted(engine, record, work);
  } finally {
    unlock();
  }
}

async function withMounted<T>(engine: Engine, record: ContainerRecord, work: (root: number) => Promise<T>): Promise<T> {
  const { linux, containers, layers } = engine.store;
  const options = containerOptions(record);
  const directory = containers.directory(record.id);
  const { rootfs } = containerFiles(directory, record.id);
  const namespace = enterMountNamespace(linux, { cgroupView: false });
  const staged: string[] = [];
  const places: string[] = [];
  const mountfd = engine.store.snapshotter
    .prepare(
      record.layers.map((diffID) => layers.require(diffID)),
      directory,
    )
    .mount();
  try {
    const mounts = stageMounts(
      engine,
      options.mounts.filter((mount) => mount.type !== "tmpfs"),
      { directory, namespace, staged },
    );
    const made = makeMountStubs(linux, mountfd, mountTargets(mounts));
    if (made.length > 0)
      containers.update(record.id, { options: { ...options, stubs: [...(options.stubs ?? []), ...made] } });
    mkdirSync(rootfs, { recursive: true });
    namespace.attach(mountfd, rootfs);
    places.push(rootfs);
    for (const mount of mounts) {
      inside(mountfd, mount.target, (path) => linux.mount(mount.source as string, path, "", MS_BIND | MS_REC));
      if (!mount.readOnly) continue;
      // Its name leads to what was mounted now.
      const top = linux.openat(AT_FDCWD, rootfs, O_PATH | O_DIRECTORY);
      try {
        inside(top, mount.target, (path) => remountBind(linux, path, MS_RDONLY));
      } finally {
        linux.close(top);
      }
    }
    const root = linux.openat(AT_FDCWD, rootfs, O_PATH | O_DIRECTORY);
    try {
      return await work(root);
    } finally {
      linux.close(root);
    }
  } finally {
    linux.close(mountfd);
    for (const place of [...places, ...staged]) namespace.detach(place);
  }

  /** By a descriptor, so that no link in the image leads elsewhere. */
  function inside(root: number, target: string, change: (path: string) => void): void {
    const fd = linux.openat2(root, target, { flags: O_PATH, resolve: RESOLVE_IN_ROOT });
    try {
      change(`/proc/self/fd/${fd}`);
    } finally {
      linux.close(fd);
    }
  }
}
