import type { Descriptor } from "../../oci/descriptor.ts";
import { isIndex, parseManifest } from "../../oci/parseManifest.ts";
import { verified } from "../../image/verified.ts";
import { createSemaphore } from "../../solve/semaphore.ts";
import type { Registry } from "../../registry/createRegistry.ts";
import type { CopyEvent, Emit } from "../events.ts";
import type { ImageSource } from "./fetchBlob.ts";

export interface Place {
  registry: Registry;
  domain: string;
  path: string;
}

/** A place that is only read: a registry's repository, an archive. */
export type SourcePlace = Omit<Place, "registry"> & { registry: ImageSource };

/** Blobs at a time. */
const COPIES = 4;

/**
 * Brings what a manifest or index names, and itself by its digest, from one repository to another: mounted where both are of one registry, else streamed
 * through and verified, without the store. What is there already stays as it is.
 */
export async function copyManifest(
  from: SourcePlace,
  to: Place,
  descriptor: Descriptor,
  emit: Emit = () => {},
): Promise<void> {
  if (from.domain === to.domain && from.path === to.path) return;
  const { bytes, mediaType } = await from.registry.manifest(from.path, descriptor.digest);
  const manifest = parseManifest(bytes);
  if (isIndex(manifest)) {
    for (const each of manifest.manifests) await copyManifest(from, to, each, emit);
  } else {
    const slots = createSemaphore(COPIES);
    const blobs = new Map([manifest.config, ...manifest.layers].map((each) => [each.digest, each]));
    const results = await Promise.allSettled(
      [...blobs.values()].map((blob) =>
        slots(async () => {
          if ((blob.urls ?? []).length > 0) return;
          const { digest, size } = blob;
          const tell = (status: CopyEvent["status"], more = {}): void =>
            emit({ type: "copy.blob", digest, status, ...more });
          if (await to.registry.hasBlob(to.path, digest)) return tell("exists");
          const sent = await to.registry.upload(
            to.path,
            { digest, size, open: async () => verified(await from.registry.blob(from.path, blob), blob) },
            {
              mountFrom: from.domain === to.domain ? [from.path] : [],
              onProgress: (current) => tell("copying", { current, total: size }),
            },
          );
          tell(sent.mountedFrom === undefined ? "copied" : "mounted");
        }),
      ),
    );
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }
  await to.registry.putManifest(to.path, descriptor.digest, {
    bytes,
    mediaType: manifest.mediaType ?? (mediaType || descriptor.mediaType),
  });
}
