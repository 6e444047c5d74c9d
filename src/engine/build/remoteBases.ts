import type { Layer } from "../../image/Layer.ts";
import { verified } from "../../image/verified.ts";
import { decompressStream } from "../../layer/decompressStream.ts";
import type { ImageConfig } from "../../oci/config.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import { type Platform, formatFullPlatform } from "../../oci/platform.ts";
import { parseReference, type Reference } from "../../oci/reference.ts";
import { createSemaphore } from "../../solve/semaphore.ts";
import type { Lease } from "../../store/Store.ts";
import type { Engine } from "../Engine.ts";
import { fetchResolved, openRemote, type RemoteImage, recordPulled } from "../images/pull.ts";

/** Base images of a build that are known by manifest and config, while their layers are still in the registry. */
export interface RemoteBases {
  /** @throws SlipwayError as `pull` does */
  resolve(reference: string, platform: Platform): Promise<{ id: Digest; config: ImageConfig }>;
  /** Brings what a step needs the files of, `why` it does: each image that has one of the layers, whole, and records it as a pull does. */
  fetch(layers: readonly Digest[], why: string): Promise<void>;
  /** A layer that is in a registry and not here; its bytes come from there when they are read. */
  layer(diffID: Digest): { layer: Layer; descriptor: Descriptor; from: Reference } | undefined;
  /** Config of an image by its canonical name. */
  config(reference: string): ImageConfig | undefined;
}

/** `told`: the engine as a step of the build shows it; the step is `work`. */
export function createRemoteBases(
  engine: Engine,
  {
    lease,
    pulling,
  }: { lease: Lease; pulling: <T>(reference: string, why: string, work: (told: Engine) => Promise<T>) => Promise<T> },
): RemoteBases {
  const images: { remote: RemoteImage; fetched?: Promise<void> }[] = [];
  const one = createSemaphore(1);

  function find(diffID: Digest): RemoteImage | undefined {
    return images.find(({ remote }) => remote.image.config.rootfs.diff_ids.includes(diffID))?.remote;
  }

  return {
    async resolve(reference, platform) {
      const remote = await openRemote(engine, parseReference(reference), {
        platform: formatFullPlatform(platform),
        lease,
      });
      images.push({ remote });
      return { id: remote.image.id, config: remote.image.config };
    },
    async fetch(layers, why) {
      for (const known of images) {
        const own = known.remote.image.config.rootfs.diff_ids;
        const missing = own.filter((diffID) => engine.store.layers.get(diffID) === undefined);
        if (!missing.some((diffID) => layers.includes(diffID))) continue;
        // Two images may share layers: one after the other.
        known.fetched ??= one(() =>
          pulling(known.remote.reference.canonical, why, async (told) => {
            await fetchResolved(told, known.remote, lease);
            recordPulled(told, known.remote);
          }),
        );
        await known.fetched;
      }
    },
    layer(diffID) {
      const remote = find(diffID);
      const at = remote?.image.config.rootfs.diff_ids.indexOf(diffID) ?? -1;
      const descriptor = remote?.image.manifest.layers[at];
      if (remote === undefined || descriptor === undefined) return undefined;
      const compressed = async (): Promise<ReadableStream<Uint8Array>> =>
        verified(await remote.source.blob(remote.reference.path, descriptor), descriptor);
      const layer: Layer = {
        mediaType: descriptor.mediaType,
        diffID: async () => diffID,
        digest: async () => descriptor.digest,
        size: async () => descriptor.size,
        known: () => descriptor,
        compressed,
        uncompressed: async () => verified(decompressStream(await compressed()), { digest: diffID }),
      };
      return { layer, descriptor, from: remote.reference };
    },
    config: (reference) => images.find(({ remote }) => remote.reference.canonical === reference)?.remote.image.config,
  };
}
