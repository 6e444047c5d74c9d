import type { Digest } from "../../oci/digest.ts";
import type { FoundBlob } from "./content.ts";
import { rangeOf } from "./protocol.ts";

/** The blob, or the part of it that is asked for. A layer that is packed on the way is made from its beginning, and what is not wanted passed over. */
export async function serveBlob(request: Request, digest: Digest, blob: FoundBlob): Promise<Response> {
  const { size } = blob;
  const headers: Record<string, string> = {
    "Content-Type": "application/octet-stream",
    "Docker-Content-Digest": digest,
    "Accept-Ranges": "bytes",
    Etag: `"${digest}"`,
    "Cache-Control": "max-age=31536000",
  };
  if (request.method === "HEAD") return new Response(null, { headers: { ...headers, "Content-Length": String(size) } });
  const range = rangeOf(request.headers.get("range"), size);
  const { start, end } = range ?? { start: 0, end: size };
  headers["Content-Length"] = String(end - start);
  if (range !== undefined) headers["Content-Range"] = `bytes ${start}-${end - 1}/${size}`;
  const body = "file" in blob ? Bun.file(blob.file).slice(start, end) : part(await blob.layer.compressed(), start, end);
  return new Response(body, { status: range === undefined ? 200 : 206, headers });
}

/** Bytes from `start` up to `end` of a stream, which is cancelled then unless it has come to its end: that one proves what was read. */
function part(stream: ReadableStream<Uint8Array>, start: number, end: number): ReadableStream<Uint8Array> {
  const reader = stream.getReader();
  let at = 0;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        for (;;) {
          const { done, value } = await reader.read();
          if (done) return controller.close();
          const from = Math.max(start - at, 0);
          const to = Math.min(end - at, value.length);
          at += value.length;
          if (from < to) controller.enqueue(value.subarray(from, to));
          if (at > end || (from >= to && at >= end && start < end)) {
            await reader.cancel();
            return controller.close();
          }
          if (from < to) return;
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}
