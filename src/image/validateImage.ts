import { createHasher, type Digest, sha256 } from "../oci/digest.ts";
import type { Image } from "./Image.ts";

/**
 * Reads every byte of an image and lists what does not hold: digests and sizes of config, manifest and layers in both forms, and that
 * manifest and config speak of the same layers. Empty for a sound image, from whatever place.
 */
export async function validateImage(image: Image): Promise<string[]> {
  const faults: string[] = [];
  const expect = (what: string, found: unknown, wanted: unknown): void => {
    if (found !== wanted) faults.push(`${what} is ${found}, not ${wanted}`);
  };
  const [rawConfig, config, manifest, layers] = await Promise.all([
    image.rawConfig(),
    image.config(),
    image.manifest(),
    image.layers(),
  ]);
  expect("config digest", sha256(rawConfig), await image.id());
  expect("manifest digest", sha256(await image.rawManifest()), await image.digest());
  expect("config named by the manifest", manifest.config.digest, await image.id());
  expect("config size", rawConfig.length, manifest.config.size);
  expect("number of layers", layers.length, manifest.layers.length);
  expect("number of diffIDs", config.rootfs.diff_ids.length, layers.length);
  for (const [i, layer] of layers.entries()) {
    expect(`diffID of layer ${i}`, await layer.diffID(), config.rootfs.diff_ids[i]);
    expect(`digest of layer ${i}`, await layer.digest(), manifest.layers[i]?.digest);
    expect(`media type of layer ${i}`, layer.mediaType, manifest.layers[i]?.mediaType);
    const packed = await measure(await layer.compressed());
    expect(`compressed bytes of layer ${i}`, packed.digest, await layer.digest());
    expect(`compressed size of layer ${i}`, packed.size, manifest.layers[i]?.size);
    expect(
      `uncompressed bytes of layer ${i}`,
      (await measure(await layer.uncompressed())).digest,
      await layer.diffID(),
    );
  }
  return faults;
}

async function measure(stream: ReadableStream<Uint8Array>): Promise<{ digest: Digest; size: number }> {
  const hasher = createHasher();
  let size = 0;
  for await (const chunk of stream) {
    hasher.update(chunk);
    size += chunk.length;
  }
  return { digest: hasher.digest(), size };
}
