import { existsSync, mkdirSync, readdirSync, realpathSync } from "node:fs";
import { O_DIRECTORY, O_RDONLY, RESOLVE_IN_ROOT } from "../../linux/constants.ts";
import type { ContainerConfig } from "../../oci/config.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { ImageRecord } from "../../store/Store.ts";
import { type ContainerMount, containerOptions } from "../containers/ContainerOptions.ts";
import type { CreateOptions, Engine } from "../Engine.ts";
import { cleanTarget, parseVolume } from "./parseVolume.ts";
import type { MountRequest } from "../containers/RunSettings.ts";
import { resolveImage } from "../images/resolveImage.ts";
import { createVolume } from "./volumeRecords.ts";

export interface PreparedMounts {
  mounts: ContainerMount[];
  /** Names of the volumes that were made for this container alone. */
  anonymousVolumes: string[];
}

/**
 * The mounts that `-v`, `--mount`, `--volumes-from` and the image's VOLUMEs ask for. Volumes are made where missing, and a volume that is
 * empty takes over what the image has at its place. Host directories are made where missing for `-v`, as Docker makes them.
 * @throws SlipwayError `INVALID_VOLUME`, `CONTAINER_NOT_FOUND`, `IMAGE_NOT_FOUND`
 */
export function prepareMounts(
  engine: Engine,
  container: { options: CreateOptions; config: ContainerConfig; image: ImageRecord },
): PreparedMounts {
  const { options } = container;
  const mounts: ContainerMount[] = [];
  const anonymousVolumes: string[] = [];
  const add = (mount: ContainerMount): void => {
    const isTaken = mounts.some((other) => other.target === mount.target);
    if (isTaken) throw invalid(`duplicate mount point: ${mount.target}`);
    mounts.push(mount);
  };
  for (const text of options.volumes) {
    const { source, ...volume } = parseVolume(text);
    if (source?.startsWith("/") === true) {
      const path = hostPath(source, { make: true });
      add({ ...bindMount({ ...volume, type: "bind" }), source: path });
    } else add(useVolume({ ...volume, type: "volume", ...(source === undefined ? {} : { source }) }));
  }
  for (const request of options.mountRequests ?? []) {
    if (mounts.some((other) => other.target === request.target))
      throw invalid(`duplicate mount point: ${request.target}`);
    add(requested(request));
  }
  for (const entry of options.volumesFrom ?? []) {
    for (const mount of mountsOf(entry)) {
      if (!mounts.some((other) => other.target === mount.target)) mounts.push(mount);
    }
  }
  const tmpfs = options.tmpfs.map((each) => cleanTarget(each.split(":", 1)[0] as string));
  for (const declared of Object.keys(container.config.Volumes ?? {})) {
    const target = cleanTarget(declared);
    if (target === "/") throw invalid(`the image declares a volume at ${declared}, which cannot be its root`);
    if (mounts.some((mount) => mount.target === target) || tmpfs.includes(target)) continue;
    add(useVolume({ type: "volume", target, readOnly: false }));
  }
  return { mounts, anonymousVolumes };

  function requested(request: MountRequest): ContainerMount {
    switch (request.type) {
      case "bind":
        return {
          ...bindMount(request),
          source: hostPath(request.source as string, { make: request.createSource === true }),
        };
      case "volume":
        return useVolume(request);
      case "image":
        return imageMount(request);
      case "tmpfs": {
        const size = request.tmpfsSize === undefined ? [] : [`size=${request.tmpfsSize}`];
        const mode = request.tmpfsMode === undefined ? [] : [`mode=${request.tmpfsMode.toString(8)}`];
        return {
          type: "tmpfs",
          source: "",
          target: request.target,
          readOnly: request.readOnly,
          mountOptions: ["noexec", ...size, ...mode],
        };
      }
    }
  }

  function useVolume(request: MountRequest): ContainerMount {
    const anonymous = request.source === undefined;
    const volume = createVolume(engine, {
      anonymous,
      forContainer: anonymous,
      ...(anonymous ? {} : { name: request.source as string }),
      ...(request.labels === undefined ? {} : { labels: request.labels }),
    });
    if (anonymous) anonymousVolumes.push(volume.name);
    if (request.noCopy !== true && readdirSync(volume.path).length === 0 && request.subpath === undefined) {
      fillFromImage(engine, container.image, request.target, volume.path);
    }
    return {
      type: "volume",
      source: volume.path,
      target: request.target,
      readOnly: request.readOnly,
      name: volume.name,
      ...(request.subpath === undefined ? {} : { subpath: request.subpath }),
    };
  }

  function imageMount(request: MountRequest): ContainerMount {
    const image = resolveImage(engine, request.source as string);
    return {
      type: "image",
      source: image.id,
      target: request.target,
      readOnly: true,
      name: request.source as string,
      layers: image.config.rootfs.diff_ids,
      ...(request.subpath === undefined ? {} : { subpath: request.subpath }),
    };
  }

  /** `--volumes-from CONTAINER[:ro|rw]`. */
  function mountsOf(entry: string): ContainerMount[] {
    const [name = "", mode = "rw", ...more] = entry.split(":");
    if (more.length > 0 || !["ro", "rw", "z", "Z"].includes(mode)) throw invalid(`invalid --volumes-from ${entry}`);
    return containerOptions(engine.store.containers.find(name))
      .mounts.filter((mount) => mount.type === "bind" || mount.type === "volume")
      .map((mount) => ({ ...mount, readOnly: mount.readOnly || mode === "ro" }));
  }
}

function bindMount(request: MountRequest): ContainerMount {
  const { propagation = "rprivate" } = request;
  if (/shared$/.test(propagation)) {
    throw new SlipwayError("INVALID_VOLUME", `bind propagation ${propagation} is not supported`, {
      hint: "A container's mounts live in a namespace of their own; rslave lets it see those that are made outside.",
      exitCode: 125,
    });
  }
  const mountOptions = [request.nonRecursive === true ? "bind" : "rbind", propagation];
  if (request.readOnly && request.recursiveReadOnly === "readonly") mountOptions.push("rro");
  return { type: "bind", source: "", target: request.target, readOnly: request.readOnly, mountOptions };
}

function hostPath(path: string, { make }: { make: boolean }): string {
  if (!existsSync(path)) {
    if (!make) {
      throw new SlipwayError("INVALID_VOLUME", `bind source path does not exist: ${path}`, {
        hint: "Make it first; -v makes missing directories itself.",
        exitCode: 125,
      });
    }
    mkdirSync(path, { recursive: true });
  }
  return realpathSync(path);
}

function fillFromImage(engine: Engine, image: ImageRecord, target: string, directory: string): void {
  const { linux, layers } = engine.store;
  const { copyDirectory } = require("../../layer/copyDirectory.ts") as typeof import("../../layer/copyDirectory.ts");
  const view = engine.store.snapshotter.view(image.config.rootfs.diff_ids.map((diffID) => layers.require(diffID)));
  try {
    let from: number;
    try {
      from = linux.openat2(view.fd, target, { flags: O_RDONLY | O_DIRECTORY, resolve: RESOLVE_IN_ROOT });
    } catch {
      return; // the image has no directory there
    }
    try {
      copyDirectory(linux, from, directory);
    } finally {
      linux.close(from);
    }
  } finally {
    view.close();
  }
}

function invalid(message: string): SlipwayError {
  return new SlipwayError("INVALID_VOLUME", message, { exitCode: 125 });
}
