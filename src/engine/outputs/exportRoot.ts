import { O_DIRECTORY, O_RDONLY } from "../../linux/constants.ts";
import { openOutput } from "../../archive/outputFile.ts";
import { packLayer } from "../../layer/packLayer.ts";
import type { Digest } from "../../oci/digest.ts";
import { formatPlatform, type Platform } from "../../oci/platform.ts";
import { createOverlaySnapshotter } from "../../store/overlay.ts";
import type { Engine } from "../Engine.ts";
import { exportTree } from "./exportTree.ts";

/** Tells how far it is, in bytes. */
export type OnBytes = (bytes: number) => void;

export interface RootExport {
  /** Of the root file system, lowest first. They must be held by a lease. */
  layers: readonly Digest[];
  platform: Platform;
  /** Into a directory named after the platform; not where undefined, as this is one platform. */
  platformSplit?: boolean;
  /** SOURCE_DATE_EPOCH in seconds: every file's time (BuildKit). */
  epoch?: number;
}

/**
 * Writes the root file system into a directory. @throws SlipwayError `INVALID_OUTPUT`, `MOUNT_FAILED`
 */
export async function exportDirectory(
  engine: Engine,
  root: RootExport,
  options: { dest: string; mode: "copy" | "delete"; onProgress?: OnBytes },
): Promise<void> {
  const { dest, mode } = options;
  const target = root.platformSplit === true ? `${dest}/${platformFolder(root.platform)}` : dest;
  await withRoot(engine, root.layers, (fd) =>
    exportTree(engine.store.linux, fd, target, {
      mode,
      ...(root.epoch === undefined ? {} : { epoch: root.epoch }),
      signal: engine.signal,
      ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
    }),
  );
}

/**
 * Writes the root file system as one tar, owners and attributes included; `dest` "-" is standard output.
 * @throws SlipwayError `INVALID_OUTPUT`, `MOUNT_FAILED`
 */
export async function exportTar(
  engine: Engine,
  root: RootExport,
  { dest, onProgress }: { dest: string; onProgress?: OnBytes },
): Promise<void> {
  const { linux } = engine.store;
  const form = {
    ...(root.platformSplit === true ? { prefix: platformFolder(root.platform) } : {}),
    ...(root.epoch === undefined ? {} : { time: root.epoch }),
  };
  const output = openOutput(linux, dest);
  try {
    await withRoot(engine, root.layers, async (fd) => {
      await writePieces(engine, packLayer(linux, `/proc/self/fd/${fd}/.`, form), (piece) => {
        output.write(piece);
        onProgress?.(output.size);
      });
    });
    output.finish();
  } finally {
    output.abort();
  }
}

/** Bytes between two looks at the signal. */
const TURN = 16 * 1024 * 1024;

export async function writePieces(
  { signal }: Pick<Engine, "signal">,
  pieces: Generator<Uint8Array, unknown>,
  write: (piece: Uint8Array) => void,
): Promise<void> {
  let bytes = 0;
  let turns = 0;
  for (const piece of pieces) {
    write(piece);
    bytes += piece.length;
    if (bytes < TURN && ++turns < 2000) continue;
    bytes = turns = 0;
    await new Promise<void>((next) => setImmediate(next));
    signal.throwIfAborted();
  }
}

async function withRoot(engine: Engine, layers: readonly Digest[], work: (fd: number) => Promise<void>): Promise<void> {
  const { store } = engine;
  const view = createOverlaySnapshotter(store).view(layers.map((diffID) => store.layers.require(diffID)));
  try {
    const fd = store.linux.openat(view, ".", O_RDONLY | O_DIRECTORY);
    try {
      await work(fd);
    } finally {
      store.linux.close(fd);
    }
  } finally {
    store.linux.close(view);
  }
}

/** As BuildKit names it: `linux_amd64`, `linux_arm_v7`. */
function platformFolder(platform: Platform): string {
  return formatPlatform(platform).replaceAll("/", "_");
}
