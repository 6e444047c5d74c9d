import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { openOutput } from "../../archive/outputFile.ts";
import { packLayer } from "../../layer/packLayer.ts";
import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from "../../linux/constants.ts";
import { createOverlaySnapshotter } from "../../store/overlay.ts";
import { containerFiles } from "./containerFiles.ts";
import { copyTree } from "./copyDirectory.ts";
import type { Engine } from "../Engine.ts";
import { writePieces } from "../build/outputs/exportRoot.ts";

/**
 * Writes a container's file system as one tar, image and what it has written together, without its volumes; `output` "-" is standard output. What a
 * running container has written is copied first, so that the archive is of one moment as far as it can be.
 * @throws SlipwayError `CONTAINER_NOT_FOUND`, `INVALID_OUTPUT`
 */
export async function exportContainer(engine: Engine, nameOrId: string, { output }: { output: string }): Promise<void> {
  const { store } = engine;
  const { linux } = store;
  const record = store.containers.find(nameOrId);
  const lease = store.lease("export");
  const target = openOutput(linux, output);
  try {
    for (const diffID of record.layers) lease.protect("layer", diffID);
    const layers = record.layers.map((diffID) => store.layers.require(diffID));
    const directory = lease.directory();
    copyUpper(engine, record.id, directory);
    const mount = createOverlaySnapshotter(store).prepare(layers, directory).mount();
    try {
      await writePieces(engine, packLayer(linux, `/proc/self/fd/${mount}/.`), target.write);
      target.finish();
    } finally {
      linux.close(mount);
    }
  } finally {
    target.abort();
    lease.release();
  }
}

function copyUpper({ store: { linux, containers } }: Engine, id: string, directory: string): void {
  const { upper } = containerFiles(containers.directory(id), id);
  if (linux.statatOrUndefined(AT_FDCWD, upper) === undefined) return;
  const copy = join(directory, "upper");
  mkdirSync(copy);
  const from = linux.openat(AT_FDCWD, upper, O_RDONLY | O_DIRECTORY);
  try {
    copyTree(linux, from, copy);
  } finally {
    linux.close(from);
  }
}
