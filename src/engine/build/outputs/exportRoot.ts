import { O_DIRECTORY, O_NOFOLLOW, O_RDONLY, S_IFDIR, S_IFMT } from "../../../linux/constants.ts";
import { openOutput } from "../../../archive/outputFile.ts";
import { packLayer } from "../../../layer/packLayer.ts";
import type { Digest } from "../../../oci/digest.ts";
import { formatFullPlatform, formatPlatform, type Platform } from "../../../oci/platform.ts";
import { SlipwayError } from "../../../oci/SlipwayError.ts";
import type { Engine } from "../../Engine.ts";
import { exportTree } from "./exportTree.ts";

/** Tells how far it is, in bytes. */
export type OnBytes = (bytes: number) => void;

export interface RootExport {
  /** Of the root file system, lowest first. They must be held by a lease. */
  layers: readonly Digest[];
  platform: Platform;
}

export interface RootForm {
  /** Each into a directory named after its platform. */
  platformSplit: boolean;
  /** SOURCE_DATE_EPOCH in seconds: every file's time (BuildKit). */
  epoch?: number;
  onProgress?: OnBytes;
}

/**
 * Writes root file systems into a directory. Without `platformSplit` no two of them may have the same file.
 * @throws SlipwayError `INVALID_OUTPUT`, `MOUNT_FAILED`
 */
export async function exportDirectory(
  engine: Engine,
  roots: readonly RootExport[],
  options: RootForm & { dest: string; mode: "copy" | "delete" },
): Promise<void> {
  const { dest, mode, platformSplit, epoch, onProgress } = options;
  if (!platformSplit) await refuseOverlap(engine, roots);
  let before = 0;
  for (const [i, { platform, layers }] of roots.entries()) {
    const target = platformSplit ? `${dest}/${platformFolder(platform)}` : dest;
    let own = 0;
    await withRoot(engine, layers, (fd) =>
      exportTree(engine.store.linux, fd, target, {
        // What the first has put there is no file that the result lacks.
        mode: platformSplit || i === 0 ? mode : "copy",
        ...(epoch === undefined ? {} : { epoch }),
        signal: engine.signal,
        onProgress: (bytes) => {
          own = bytes;
          onProgress?.(before + bytes);
        },
      }),
    );
    before += own;
  }
}

/**
 * Writes root file systems as one tar, owners and attributes included; `dest` "-" is standard output. Without `platformSplit` no two of them
 * may have the same file.
 * @throws SlipwayError `INVALID_OUTPUT`, `MOUNT_FAILED`
 */
export async function exportTar(
  engine: Engine,
  roots: readonly RootExport[],
  { dest, platformSplit, epoch, onProgress }: RootForm & { dest: string },
): Promise<void> {
  const { linux } = engine.store;
  if (!platformSplit) await refuseOverlap(engine, roots);
  const output = openOutput(linux, dest);
  try {
    for (const [i, { platform, layers }] of roots.entries()) {
      const form = {
        ...(platformSplit ? { prefix: platformFolder(platform) } : {}),
        ...(epoch === undefined ? {} : { time: epoch }),
        open: i < roots.length - 1,
      };
      await withRoot(engine, layers, async (fd) => {
        await writePieces(engine, packLayer(linux, `/proc/self/fd/${fd}/.`, form), (piece) => {
          output.write(piece);
          onProgress?.(output.size);
        });
      });
    }
    output.finish();
  } finally {
    output.abort();
  }
}

/** BuildKit's rule and words: directories may be in several, nothing else. @throws SlipwayError `INVALID_OUTPUT` */
async function refuseOverlap(engine: Engine, roots: readonly RootExport[]): Promise<void> {
  if (roots.length < 2) return;
  const { linux } = engine.store;
  const seen = new Map<string, string>();
  const look = (fd: number, parent: string, platform: string): void => {
    for (const { name } of linux.readdir(fd)) {
      const path = `${parent}${name}`;
      if ((linux.statat(fd, name).mode & S_IFMT) === S_IFDIR) {
        const below = linux.openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        try {
          look(below, `${path}/`, platform);
        } finally {
          linux.close(below);
        }
        continue;
      }
      const other = seen.get(path);
      if (other !== undefined)
        throw new SlipwayError(
          "INVALID_OUTPUT",
          `cannot overwrite ${path} from ${other} with ${platform} when split option is disabled`,
        );
      seen.set(path, platform);
    }
  };
  for (const { layers, platform } of roots)
    await withRoot(engine, layers, async (fd) => look(fd, "", formatFullPlatform(platform)));
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
  const view = store.snapshotter.view(layers.map((diffID) => store.layers.require(diffID)));
  try {
    const fd = store.linux.openat(view.fd, ".", O_RDONLY | O_DIRECTORY);
    try {
      await work(fd);
    } finally {
      store.linux.close(fd);
    }
  } finally {
    view.close();
  }
}

/** As BuildKit names it: `linux_amd64`, `linux_arm_v7`. */
function platformFolder(platform: Platform): string {
  return formatPlatform(platform).replaceAll("/", "_");
}
