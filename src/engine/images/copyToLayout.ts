import type { LayoutSink } from "../../archive/layoutSink.ts";
import { REF_NAME, small, withEarlier } from "../../archive/writeLayout.ts";
import { verified } from "../../image/verified.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { isIndex, parseManifest } from "../../oci/parseManifest.ts";
import type { ImageSource } from "./fetchBlob.ts";

/**
 * Writes what a manifest or index names, and itself, into a layout, each blob once and verified. In a directory that holds a layout its index keeps what
 * it names, but for the tag. The sink is finished where all of it is written, and aborted where not. The source's repository is "".
 */
export async function copyToLayout(
  source: ImageSource,
  sink: LayoutSink,
  { descriptor, tag }: { descriptor: Descriptor; tag?: string },
): Promise<void> {
  async function copy({ digest }: Descriptor): Promise<void> {
    const { bytes } = await source.manifest("", digest);
    const manifest = parseManifest(bytes);
    if (isIndex(manifest)) for (const each of manifest.manifests) await copy(each);
    else
      for (const blob of [...manifest.layers, manifest.config]) {
        // Foreign layers stay where they are (image-spec, layer.md "Non-Distributable Layers").
        if ((blob.urls ?? []).length > 0) continue;
        await sink.blob({
          known: blob,
          stream: async () => verified(await source.blob("", blob), blob),
          described: async () => blob,
        });
      }
    await small(sink, bytes);
  }

  try {
    sink.file("oci-layout", Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
    await copy(descriptor);
    const entry = tag === undefined ? descriptor : { ...descriptor, annotations: { [REF_NAME]: tag } };
    sink.file("index.json", Buffer.from(JSON.stringify(withEarlier(sink.earlier("index.json"), [entry]))));
    sink.finish();
  } finally {
    sink.abort();
  }
}
