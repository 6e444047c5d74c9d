import type { Descriptor } from "../oci/descriptor.ts";
import { type Digest, isDigest, sha256 } from "../oci/digest.ts";
import { manifestTypes } from "../oci/parseManifest.ts";
import { isSlipwayError, SlipwayError } from "../oci/SlipwayError.ts";
import { BodyBroken, bounded, failure, unreachable } from "./failure.ts";
import { type Opened, resumable } from "./resumable.ts";
import { backOff, Transient, usual } from "./retry.ts";
import { createEndpoint, type Endpoint, type RegistryOptions } from "./transport.ts";
import { type BlobSource, type Uploaded, uploadBlob } from "./uploadBlob.ts";

export type { RegistryOptions };

export interface ResolvedManifest {
  bytes: Uint8Array;
  digest: Digest;
  mediaType: string;
}

/** One registry by the distribution protocol (distribution-spec v1.1), its mirrors before it. Requests that may succeed later are tried again. */
export interface Registry {
  /**
   * Manifest or index of a tag or digest, verified against the digest where one is given or said.
   * @throws SlipwayError `MANIFEST_UNKNOWN`, `UNAUTHORIZED`, `RATE_LIMITED`, `REGISTRY_UNREACHABLE`, `DIGEST_MISMATCH`, `MANIFEST_TOO_LARGE`
   */
  manifest(repository: string, reference: string): Promise<ResolvedManifest>;
  /**
   * The blob's bytes. A connection that breaks or stalls is taken up again where it was. Not verified here: `store.blobs.ingest` does that.
   * A descriptor without the size that the registry knows better is read to the end of what comes.
   */
  blob(
    repository: string,
    blob: Descriptor,
    options?: { withoutMirrors?: boolean },
  ): Promise<ReadableStream<Uint8Array>>;
  /** Whether the repository of the host itself has the blob. */
  hasBlob(repository: string, digest: Digest): Promise<boolean>;
  /**
   * Brings a blob to the host itself: mounted from `mountFrom` (repositories of it) where that works, else sent. What breaks off is taken up where the
   * registry says that it has come to. When it resolves the registry has verified the digest.
   * @throws SlipwayError as `manifest`, and what reading the source throws
   */
  upload(repository: string, source: BlobSource, options?: UploadOptions): Promise<Uploaded>;
  /** Puts a manifest or index under a tag or its digest. Blobs and manifests that it names must be there. Returns what the registry says of its subject. */
  putManifest(
    repository: string,
    reference: string,
    manifest: { bytes: Uint8Array; mediaType: string },
  ): Promise<{ digest: Digest; subject?: string }>;
  /** All tags, page by page. */
  tags(repository: string): Promise<string[]>;
  /** The index of those that have `digest` as their subject; undefined where the registry has no such API. */
  referrers(repository: string, digest: Digest, artifactType?: string): Promise<Uint8Array | undefined>;
  deleteManifest(repository: string, reference: string): Promise<void>;
  /** Whether the host answers to these credentials. @throws SlipwayError `UNAUTHORIZED`, `REGISTRY_UNREACHABLE` */
  ping(): Promise<void>;
}

export interface UploadOptions {
  mountFrom?: readonly string[];
  onProgress?: (bytes: number) => void;
}

const pullScope = (repository: string): string => `repository:${repository}:pull`;
const pushScope = (repository: string): string => `repository:${repository}:pull,push`;
/** Pages of tags or referrers: a server that names a next one for ever is not believed. */
const MAX_PAGES = 1000;

export function createRegistry(options: RegistryOptions): Registry {
  const { signal, patience = usual } = options;
  const own = createEndpoint(options.host, options);
  const mirrors = (options.mirrors ?? []).map((each) => {
    const { host } = createEndpoint(each, options);
    return createEndpoint(each, { ...options, ...options.ofMirror?.(host) });
  });
  const endpoints = options.mirrorsAlone === true && mirrors.length > 0 ? mirrors : [...mirrors, own];

  /** Each endpoint in turn: a mirror that fails in whatever way leads to the next, the host's own failure is the one that is told. */
  async function first<T>(work: (at: Endpoint) => Promise<T>, from: readonly Endpoint[] = endpoints): Promise<T> {
    let answer: unknown;
    for (const [i, at] of from.entries()) {
      try {
        return await work(at);
      } catch (error) {
        signal.throwIfAborted();
        const isLast = i === from.length - 1;
        if (!(error instanceof Transient)) {
          if (isLast) throw error;
          answer = error;
        } else if (isLast) {
          // Where the host itself cannot be asked, what a mirror has said is the better answer.
          throw answer ?? unreachable(at, error);
        }
      }
    }
    throw new Error("a registry has at least its own endpoint");
  }

  /** What is written goes to the host itself. */
  async function here<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof Transient) throw unreachable(own, error);
      throw error;
    }
  }

  const named = (repository: string): string => `${options.host}/${repository}`;

  async function openBlob(at: Endpoint, repository: string, blob: Descriptor, from: number): Promise<Opened> {
    const response = await at.ask({
      repository,
      path: `${repository}/blobs/${blob.digest}`,
      scope: pullScope(repository),
      headers: from > 0 ? { Range: `bytes=${from}-` } : {},
    });
    if (!response.ok || response.body === null)
      throw await failure(at, response, { repository: named(repository), reference: blob.digest });
    const said = Number(response.headers.get("content-length") ?? Number.NaN);
    if (from === 0 && said > blob.size) {
      await response.body.cancel();
      throw new SlipwayError("SIZE_MISMATCH", `blob ${blob.digest} has ${said} bytes instead of ${blob.size}`);
    }
    const reader = response.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
    // A server without ranges starts anew: what is known is read over.
    return { reader, skip: from > 0 && response.status !== 206 ? from : 0 };
  }

  async function pages(path: string, repository: string): Promise<{ response: Response; bytes: Uint8Array }[]> {
    const found: { response: Response; bytes: Uint8Array }[] = [];
    let next: string | undefined = path;
    while (next !== undefined && found.length < MAX_PAGES) {
      const response: Response = await own.ask({ repository, path: next, scope: pullScope(repository) });
      if (!response.ok) {
        if (found.length === 0) return [{ response, bytes: new Uint8Array(0) }];
        throw await failure(own, response, { repository: named(repository), reference: "" });
      }
      found.push({ response, bytes: await bounded(response, patience.stall) });
      const link = /<([^>]+)>\s*;\s*rel="?next"?/.exec(response.headers.get("link") ?? "")?.[1];
      next = link === undefined ? undefined : own.resolve(link);
    }
    return found;
  }

  return {
    manifest: (repository, reference) =>
      first(async (at) => {
        const read = async (): Promise<ResolvedManifest> => {
          const response = await at.ask({
            repository,
            path: `${repository}/manifests/${reference}`,
            scope: pullScope(repository),
            headers: { Accept: manifestTypes.join(", ") },
          });
          if (!response.ok) throw await failure(at, response, { repository: named(repository), reference });
          const bytes = await bounded(response, patience.stall);
          const digest = sha256(bytes);
          const said = isDigest(reference) ? reference : response.headers.get("docker-content-digest");
          if (said !== null && said !== digest && isDigest(said)) {
            throw new SlipwayError("DIGEST_MISMATCH", `${at.host} gave ${digest} for the manifest ${said}`);
          }
          return { bytes, digest, mediaType: (response.headers.get("content-type") ?? "").split(";")[0]?.trim() ?? "" };
        };
        // The body may break or be damaged after the answer has begun well: once more, then.
        for (let attempt = 1; ; attempt++) {
          try {
            return await read();
          } catch (error) {
            signal.throwIfAborted();
            const passing = error instanceof BodyBroken || isSlipwayError(error, "DIGEST_MISMATCH");
            if (!passing || attempt >= 3) throw error;
            await backOff(error, attempt, signal, patience);
          }
        }
      }),
    blob(repository, blob, { withoutMirrors = false } = {}) {
      const from = withoutMirrors ? [own] : endpoints;
      return first(
        async (at) =>
          resumable(await openBlob(at, repository, blob, 0), {
            size: blob.size,
            // A mirror that has gone in the middle is no reason to stop.
            open: (position) => first((other) => openBlob(other, repository, blob, position), from),
            failed: (error) => unreachable(at, error),
            signal,
            patience,
          }),
        from,
      );
    },
    hasBlob: (repository, digest) =>
      here(async () => {
        const response = await own.ask({
          method: "HEAD",
          repository,
          path: `${repository}/blobs/${digest}`,
          scope: pushScope(repository),
        });
        await response.body?.cancel();
        if (response.status === 401 || response.status === 403)
          throw await failure(own, response, { repository: named(repository), reference: "", push: true });
        return response.ok;
      }),
    upload: (repository, source, how = {}) =>
      here(() => uploadBlob(own, { repository, named: named(repository), source, ...how, signal, patience })),
    putManifest: (repository, reference, { bytes, mediaType }) =>
      here(async () => {
        const digest = sha256(bytes);
        for (let attempt = 1; ; attempt++) {
          const response = await own.ask({
            method: "PUT",
            repository,
            path: `${repository}/manifests/${reference}`,
            scope: pushScope(repository),
            headers: { "Content-Type": mediaType },
            body: () => bytes,
          });
          // Damaged on the way it is no manifest, as a rule.
          if (response.status === 400 && attempt < 3) {
            await response.body?.cancel();
            continue;
          }
          if (!response.ok)
            throw await failure(own, response, { repository: named(repository), reference, push: true });
          await response.body?.cancel();
          const said = response.headers.get("docker-content-digest");
          if (said === null || !isDigest(said) || said === digest) {
            const subject = response.headers.get("oci-subject");
            return { digest, ...(subject === null ? {} : { subject }) };
          }
          // Damaged on the way, and the tag names it now: the next one takes its place.
          if (attempt >= patience.tries)
            throw new SlipwayError("DIGEST_MISMATCH", `${own.host} took ${said} for the manifest ${digest}`);
        }
      }),
    tags: (repository) =>
      here(async () => {
        const all = await pages(`${repository}/tags/list`, repository);
        const [head] = all;
        if (head !== undefined && !head.response.ok)
          throw await failure(own, head.response, { repository: named(repository), reference: "" });
        return all.flatMap(
          ({ bytes }) => (JSON.parse(Buffer.from(bytes).toString("utf8")) as { tags?: string[] }).tags ?? [],
        );
      }),
    referrers: (repository, digest, artifactType) =>
      here(async () => {
        const filter = artifactType === undefined ? "" : `?artifactType=${encodeURIComponent(artifactType)}`;
        const all = await pages(`${repository}/referrers/${digest}${filter}`, repository);
        const [head] = all;
        if (head === undefined || head.response.status === 404) return undefined;
        if (!head.response.ok)
          throw await failure(own, head.response, { repository: named(repository), reference: digest });
        if (all.length === 1) return head.bytes;
        const parts = all.map(
          ({ bytes }) => JSON.parse(Buffer.from(bytes).toString("utf8")) as { manifests?: unknown[] },
        );
        return Buffer.from(
          JSON.stringify({ ...parts[0], manifests: parts.flatMap(({ manifests }) => manifests ?? []) }),
        );
      }),
    deleteManifest: (repository, reference) =>
      here(async () => {
        const response = await own.ask({
          method: "DELETE",
          repository,
          path: `${repository}/manifests/${reference}`,
          scope: `repository:${repository}:delete,pull,push`,
        });
        if (!response.ok && response.status !== 404)
          throw await failure(own, response, { repository: named(repository), reference, push: true });
        await response.body?.cancel();
      }),
    ping: () =>
      here(async () => {
        const response = await own.ask({ repository: "", path: "", scope: "" });
        if (response.status === 401 || response.status === 403) {
          await response.body?.cancel();
          throw new SlipwayError("UNAUTHORIZED", `${own.host} does not take these credentials`, {
            hint: "Check the user name and the password.",
          });
        }
        if (!response.ok) throw await failure(own, response, { repository: options.host, reference: "" });
        await response.body?.cancel();
      }),
  };
}
