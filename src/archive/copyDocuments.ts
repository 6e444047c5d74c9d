import { verified } from "../image/verified.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import { isIndex, parseManifest } from "../oci/parseManifest.ts";
import type { LayoutSink } from "./layoutSink.ts";
import { small } from "./writeLayout.ts";

/** Where manifests and blobs come from. The repository is "". */
export interface DocumentSource {
  manifest(repository: string, reference: string): Promise<{ bytes: Uint8Array }>;
  blob(repository: string, blob: Descriptor): Promise<ReadableStream<Uint8Array>>;
}

/** Writes what a manifest or index names, and then itself, into a layout, each blob once and verified. Foreign layers stay where they are. */
export async function copyDocuments(
  source: DocumentSource,
  sink: LayoutSink,
  digest: Digest,
  onBlob: (blob: Descriptor, stream: ReadableStream<Uint8Array>) => ReadableStream<Uint8Array> = (_, stream) => stream,
): Promise<void> {
  const { bytes } = await source.manifest("", digest);
  const manifest = parseManifest(bytes);
  if (isIndex(manifest)) {
    for (const each of manifest.manifests) await copyDocuments(source, sink, each.digest, onBlob);
  } else {
    for (const blob of [...manifest.layers, manifest.config]) {
      // image-spec, layer.md "Non-Distributable Layers".
      if ((blob.urls ?? []).length > 0) continue;
      await sink.blob({
        known: blob,
        stream: async () => onBlob(blob, verified(await source.blob("", blob), blob)),
        described: async () => blob,
      });
    }
  }
  await small(sink, bytes);
}
