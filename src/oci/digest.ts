/** `sha256:<64 lower-case hex digits>`. The only algorithm that slipway writes or verifies (image-spec, descriptor.md). */
export type Digest = `sha256:${string}`;

const form = /^sha256:[0-9a-f]{64}$/;

export function isDigest(text: string): text is Digest {
  return form.test(text);
}

/** The hex part. */
export function digestHex(digest: Digest): string {
  return digest.slice("sha256:".length);
}

export function sha256(bytes: Uint8Array | string): Digest {
  return `sha256:${Bun.SHA256.hash(bytes, "hex")}`;
}

export interface Hasher {
  update(bytes: Uint8Array | string): void;
  /** Ends the hasher. */
  digest(): Digest;
}

export function createHasher(): Hasher {
  const hash = new Bun.SHA256();
  return {
    update: (bytes) => void hash.update(bytes),
    digest: () => `sha256:${hash.digest("hex")}`,
  };
}
