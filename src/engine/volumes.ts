import { existsSync, mkdirSync, readdirSync, realpathSync } from "node:fs";
import { O_DIRECTORY, O_RDONLY, RESOLVE_IN_ROOT } from "../linux/constants.ts";
import type { ContainerConfig } from "../oci/config.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import type { ImageRecord } from "../store/Store.ts";
import type { ContainerMount } from "./ContainerOptions.ts";
import { copyDirectory } from "./copyDirectory.ts";
import type { CreateOptions, Engine } from "./Engine.ts";

const VOLUME_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/; // Docker's rule

export interface PreparedMounts {
  mounts: ContainerMount[];
  /** Names of the volumes that were made for this container alone. */
  anonymousVolumes: string[];
}

/**
 * The mounts that `-v` and the image's VOLUMEs ask for. Volumes are made where missing, and a volume that is empty takes over what the image
 * has at its place. Host directories are made where missing, as Docker makes them for `-v`.
 * @throws SlipwayError `INVALID_VOLUME`
 */
export function prepareMounts(
  engine: Engine,
  container: { options: CreateOptions; config: ContainerConfig; image: ImageRecord },
): PreparedMounts {
  const mounts: ContainerMount[] = [];
  const anonymousVolumes: string[] = [];
  const add = (mount: ContainerMount): void => {
    if (mounts.some((other) => other.target === mount.target)) {
      throw new SlipwayError("INVALID_VOLUME", `duplicate mount point: ${mount.target}`, { exitCode: 125 });
    }
    mounts.push(mount);
  };
  for (const text of container.options.volumes) {
    const volume = parseVolume(text);
    if (volume.source?.startsWith("/") === true) {
      if (!existsSync(volume.source)) mkdirSync(volume.source, { recursive: true });
      add({ type: "bind", source: realpathSync(volume.source), target: volume.target, readOnly: volume.readOnly });
    } else add(useVolume(volume));
  }
  for (const target of Object.keys(container.config.Volumes ?? {})) {
    if (!mounts.some((mount) => mount.target === target)) add(useVolume({ target, readOnly: false }));
  }
  return { mounts, anonymousVolumes };

  function useVolume(volume: { source?: string; target: string; readOnly: boolean }): ContainerMount {
    const name = volume.source ?? Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex");
    if (volume.source === undefined) anonymousVolumes.push(name);
    const source = `${engine.store.root}/volumes/${name}`;
    const isNew = !existsSync(source);
    mkdirSync(source, { recursive: true });
    if (isNew || readdirSync(source).length === 0) fillFromImage(engine, container.image, volume.target, source);
    return { type: "volume", source, target: volume.target, readOnly: volume.readOnly, name };
  }
}

/** `host:container[:options]`, `name:container[:options]`, `container`. */
export function parseVolume(text: string): { source?: string; target: string; readOnly: boolean } {
  const fail = (why: string): never => {
    throw new SlipwayError("INVALID_VOLUME", `invalid volume specification: ${JSON.stringify(text)}: ${why}`, {
      hint: "It is HOST_DIRECTORY:CONTAINER_PATH[:ro], VOLUME_NAME:CONTAINER_PATH[:ro] or CONTAINER_PATH.",
      exitCode: 125,
    });
  };
  const parts = text.split(":");
  if (parts.length > 3 || parts.includes("")) fail("it has an empty part or too many");
  const source = parts.length > 1 ? parts[0] : undefined;
  const target = (parts.length > 1 ? parts[1] : parts[0]) as string;
  let readOnly = false;
  for (const option of parts[2]?.split(",") ?? []) {
    if (option === "ro") readOnly = true;
    else if (
      ![
        "rw",
        "z",
        "Z",
        "rprivate",
        "private",
        "rslave",
        "slave",
        "rshared",
        "shared",
        "nocopy",
        "cached",
        "delegated",
        "consistent",
      ].includes(option)
    ) {
      fail(`unknown option ${option}`);
    }
  }
  if (!target.startsWith("/")) fail("the path in the container must be absolute");
  const clean = `/${target
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/")}`;
  if (clean === "/" || clean.split("/").includes("..")) fail("the path in the container cannot be its root");
  if (source !== undefined && !source.startsWith("/") && !VOLUME_NAME.test(source)) {
    fail(
      "a volume's name has at least two of the characters [a-zA-Z0-9_.-]; a host directory is given by its absolute path",
    );
  }
  return {
    ...(source === undefined ? {} : { source: source === "/" ? "/" : source.replace(/\/+$/, "") }),
    target: clean,
    readOnly,
  };
}

function fillFromImage(engine: Engine, image: ImageRecord, target: string, directory: string): void {
  const { linux, layers } = engine.store;
  const { createOverlaySnapshotter } = require("../store/overlay.ts") as typeof import("../store/overlay.ts");
  const view = createOverlaySnapshotter(engine.store).view(
    image.config.rootfs.diff_ids.map((diffID) => layers.require(diffID)),
  );
  try {
    let from: number;
    try {
      from = linux.openat2(view, target, { flags: O_RDONLY | O_DIRECTORY, resolve: RESOLVE_IN_ROOT });
    } catch {
      return; // the image has no directory there
    }
    try {
      copyDirectory(linux, from, directory);
    } finally {
      linux.close(from);
    }
  } finally {
    linux.close(view);
  }
}
