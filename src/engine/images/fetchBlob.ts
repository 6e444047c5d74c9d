import type { Descriptor } from "../../oci/descriptor.ts";
import type { Reference } from "../../oci/reference.ts";
import { isSlipwayError, SlipwayError } from "../../oci/SlipwayError.ts";
import type { Registry } from "../../registry/createRegistry.ts";
import type { Lease } from "../../store/Store.ts";
import type { Engine } from "../Engine.ts";

/** Where an image comes from: a registry, a layout on the disk. */
export type ImageSource = Pick<Registry, "manifest" | "blob">;
/** Its repository there, and its whole name for people. */
export type ImageName = Pick<Reference, "path" | "canonical">;

/** What is damaged on the way is fetched again, at last from the registry itself without its mirrors. */
const DAMAGED_TRIES = 3;

/** Brings a verified blob into the store. @throws SlipwayError `FOREIGN_LAYER`, those of `Registry.blob` and `Blobs.ingest` */
export async function fetchBlob(
  engine: Engine,
  source: ImageSource,
  reference: ImageName,
  blob: Descriptor,
  options: { lease: Lease; onProgress?: (bytes: number) => void },
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      const stream = await openBlob(engine, source, reference, blob, attempt === DAMAGED_TRIES);
      await engine.store.blobs.ingest(stream, blob, options);
      return;
    } catch (error) {
      engine.signal.throwIfAborted();
      if (!isSlipwayError(error, "DIGEST_MISMATCH", "SIZE_MISMATCH") || attempt >= DAMAGED_TRIES) throw error;
      engine.emit({ type: "debug", message: `${error.message}; once more` });
    }
  }
}

/** From the registry; what it does not have, from where its manifest says that it lies, if that is allowed. */
async function openBlob(
  engine: Engine,
  source: ImageSource,
  reference: ImageName,
  blob: Descriptor,
  withoutMirrors: boolean,
): Promise<ReadableStream<Uint8Array>> {
  try {
    return await source.blob(reference.path, blob, { withoutMirrors });
  } catch (error) {
    const urls = blob.urls ?? [];
    if (!isSlipwayError(error, "MANIFEST_UNKNOWN", "BLOB_UNKNOWN") || urls.length === 0) throw error;
    const domain = reference.canonical.split("/", 1)[0] as string;
    if (engine.config.registries[domain]?.foreignLayers !== true) {
      throw new SlipwayError(
        "FOREIGN_LAYER",
        `a layer of ${reference.canonical} is not in its registry but at ${hostsOf(urls)}: it is not fetched from there`,
        { hint: `To allow it, set "foreignLayers": true for ${domain} in the configuration.`, cause: error },
      );
    }
    const { openForeign } = await import("../../registry/openForeign.ts");
    return openForeign(urls, blob, engine.signal);
  }
}

function hostsOf(urls: readonly string[]): string {
  return urls.map((url) => (URL.canParse(url) ? new URL(url).host : "a place that is no URL")).join(", ");
}
