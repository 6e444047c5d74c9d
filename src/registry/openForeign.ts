import type { Descriptor } from "../oci/descriptor.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { createEndpoint } from "./transport.ts";
import { unreachable } from "./failure.ts";
import { Transient } from "./retry.ts";

/**
 * A blob from the first of the `urls` that gives it (image-spec, descriptor.md). Nothing that belongs to a registry is sent there. Not verified.
 * @throws SlipwayError `FOREIGN_LAYER`, `REGISTRY_UNREACHABLE`
 */
export async function openForeign(
  urls: readonly string[],
  blob: Descriptor,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  let failed: unknown;
  for (const url of urls) {
    if (!/^https?:\/\//.test(url) || !URL.canParse(url)) continue;
    const at = createEndpoint(new URL(url).origin, {
      host: new URL(url).host,
      signal,
      credentials: async () => undefined,
    });
    try {
      const response = await at.ask({ repository: "", path: url, scope: "" });
      if (response.ok && response.body !== null) return response.body as ReadableStream<Uint8Array>;
      await response.body?.cancel();
      failed = new SlipwayError("FOREIGN_LAYER", `${at.host} answered ${response.status} for the layer ${blob.digest}`);
    } catch (error) {
      signal.throwIfAborted();
      failed = error instanceof Transient ? unreachable(at, error) : error;
    }
  }
  throw failed ?? new SlipwayError("FOREIGN_LAYER", `the layer ${blob.digest} has no address that can be asked`);
}
