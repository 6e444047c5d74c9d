import type { LayoutSink } from "../../archive/layoutSink.ts";
import { copyDocuments } from "../../archive/copyDocuments.ts";
import { REF_NAME, withEarlier } from "../../archive/writeLayout.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { ImageSource } from "./fetchBlob.ts";

/**
 * Writes what a manifest or index names, and itself, into a layout, each blob once and verified. In a directory that holds a layout its index keeps what
 * it names, but for the tag. The sink is finished where all of it is written, and aborted where not. The source's repository is "".
 */
export async function copyToLayout(
  source: ImageSource,
  sink: LayoutSink,
  {
    descriptor,
    tag,
    onBlob,
  }: {
    descriptor: Descriptor;
    tag?: string;
    /** Watches a blob's stream go by. */
    onBlob?: (blob: Descriptor, stream: ReadableStream<Uint8Array>) => ReadableStream<Uint8Array>;
  },
): Promise<void> {
  try {
    sink.file("oci-layout", Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
    await copyDocuments(source, sink, descriptor.digest, onBlob);
    const entry = tag === undefined ? descriptor : { ...descriptor, annotations: { [REF_NAME]: tag } };
    sink.file("index.json", Buffer.from(JSON.stringify(withEarlier(sink.earlier("index.json"), [entry]))));
    sink.finish();
  } finally {
    sink.abort();
  }
}
