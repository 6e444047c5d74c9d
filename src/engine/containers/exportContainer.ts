import { openOutput } from "../../archive/outputFile.ts";
import { packLayer } from "../../layer/packLayer.ts";
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
    const root = store.snapshotter.moment(layers, store.containers.directory(record.id));
    try {
      await writePieces(engine, packLayer(linux, `/proc/self/fd/${root.fd}/.`), target.write);
      target.finish();
    } finally {
      root.close();
    }
  } finally {
    target.abort();
    lease.release();
  }
}
