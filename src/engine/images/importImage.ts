import { decompressStream } from "../../layer/decompressStream.ts";
import { describeLayer } from "../../layer/packLayer.ts";
import { createUnpacker } from "../../layer/unpackLayer.ts";
import { AT_FDCWD } from "../../linux/constants.ts";
import type { ContainerConfig } from "../../oci/config.ts";
import type { Digest } from "../../oci/digest.ts";
import { hostPlatform, normalizePlatform, parsePlatform } from "../../oci/platform.ts";
import { parseReference } from "../../oci/reference.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { putImage } from "../../store/putImage.ts";
import { applyChange } from "../containers/commitChange.ts";
import type { Engine } from "../Engine.ts";

export interface ImportOptions {
  /** File, URL, or "-" for standard input. */
  source: string;
  stdin: () => ReadableStream<Uint8Array>;
  /** Name of the new image. */
  reference?: string;
  message?: string;
  platform?: string;
  /** Dockerfile instructions, as `commitContainer` takes them. */
  changes: string[];
}

/**
 * Makes an image of one layer from the tar of a file system, compressed or not. The layer is packed anew, so that it needs nothing of the tar
 * later. Returns the image's ID. @throws SlipwayError `INVALID_ARCHIVE`, `BAD_ARCHIVE`, `INVALID_CHANGE`, `INVALID_REFERENCE`
 */
export async function importImage(engine: Engine, options: ImportOptions): Promise<Digest> {
  const { store } = engine;
  const reference = options.reference === undefined ? undefined : parseReference(options.reference).canonical;
  const { os, architecture, variant } =
    options.platform === undefined ? hostPlatform() : normalizePlatform(parsePlatform(options.platform));
  let config: ContainerConfig = {};
  for (const change of options.changes) config = applyChange(config, change);
  const { stream, origin } = await open(engine, options);
  const lease = store.lease("import");
  try {
    const directory = lease.directory();
    store.linux.fchmodat(AT_FDCWD, directory, 0o755);
    await unpack(engine, stream, directory);
    const layer = describeLayer(store.linux, directory);
    store.layers.adopt(directory, layer, lease);
    const created = new Date().toISOString();
    return store.transaction(() => {
      const { imageID } = putImage(store, {
        config: {
          architecture,
          os,
          ...(variant === undefined ? {} : { variant }),
          created,
          config,
          rootfs: { type: "layers", diff_ids: [layer.diffID] },
          history: [{ created, comment: options.message || `Imported from ${origin}` }],
        },
        lease,
      });
      if (reference !== undefined) store.images.tag(reference, imageID);
      return imageID;
    });
  } finally {
    lease.release();
  }
}

/** Docker calls a file "-" as well: its daemon does not see the name. */
async function open(
  { signal }: Engine,
  { source, stdin }: ImportOptions,
): Promise<{ stream: ReadableStream<Uint8Array>; origin: string }> {
  if (source === "-") return { stream: stdin(), origin: "-" };
  if (/^https?:\/\//.test(source)) {
    const shown = source.replace(/\/\/[^/@]*@/, "//");
    const response = await fetch(source, { signal });
    if (!response.ok || response.body === null)
      throw new SlipwayError("INVALID_ARCHIVE", `${shown} cannot be fetched: HTTP status ${response.status}`);
    return { stream: response.body, origin: shown };
  }
  const file = Bun.file(source);
  if (!(await file.exists())) throw new SlipwayError("INVALID_ARCHIVE", `open ${source}: no such file or directory`);
  return { stream: file.stream(), origin: "-" };
}

async function unpack({ store, signal }: Engine, stream: ReadableStream<Uint8Array>, directory: string): Promise<void> {
  const unpacker = createUnpacker(store.linux, { directory });
  let size = 0;
  try {
    for await (const chunk of decompressStream(stream)) {
      signal.throwIfAborted();
      size += chunk.length;
      unpacker.push(chunk);
    }
    if (size === 0) throw new SlipwayError("INVALID_ARCHIVE", "the archive is empty");
  } catch (error) {
    unpacker.abort();
    throw error;
  }
  unpacker.finish();
}
