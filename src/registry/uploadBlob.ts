import { createHasher, type Digest } from "../oci/digest.ts";
import { isSlipwayError, SlipwayError } from "../oci/SlipwayError.ts";
import { failure } from "./failure.ts";
import { backOff, type Patience, Transient } from "./retry.ts";
import type { Endpoint } from "./transport.ts";

export interface BlobSource {
  /** Where they are known before the bytes are read. */
  digest?: Digest;
  size?: number;
  /** The same bytes each time. */
  open(): Promise<ReadableStream<Uint8Array>>;
}

export interface Uploaded {
  digest: Digest;
  size: number;
  /** The repository that it was mounted from: nothing was sent. */
  mountedFrom?: string;
}

export interface UploadWork {
  repository: string;
  /** For errors: with the host. */
  named: string;
  source: BlobSource;
  mountFrom?: readonly string[];
  onProgress?: (bytes: number) => void;
  signal: AbortSignal;
  patience: Patience;
}

/** What one request carries where the registry takes no larger ones (413); RAM for each blob under way. */
const CHUNK = 8 * 1024 * 1024;

/** An upload session: where to send to, and how much has come. */
interface Session {
  location: string;
  offset: number;
  minChunk: number;
}

/**
 * distribution-spec, "Pushing blobs". In one request where digest and size are known (POST, PUT); else streamed (PATCH, PUT); what breaks off is
 * taken up at the offset that the registry tells (GET of the session), by PATCH with a range; in pieces where it takes no large requests.
 */
export async function uploadBlob(at: Endpoint, work: UploadWork): Promise<Uploaded> {
  const { repository, named, source, mountFrom = [], onProgress, signal, patience } = work;
  const scope = `repository:${repository}:pull,push`;
  const refused = (response: Response): Promise<SlipwayError> =>
    failure(at, response, { repository: named, reference: source.digest ?? "", push: true });

  /** The session that a mount which did not come about has opened, or the outcome. */
  async function mount(from: string): Promise<Session | Uploaded | undefined> {
    const query = new URLSearchParams({ mount: source.digest as Digest, from });
    let response: Response;
    try {
      response = await at.ask({
        method: "POST",
        repository,
        path: `${repository}/blobs/uploads/?${query}`,
        scope: `${scope} repository:${from}:pull`,
      });
    } catch (error) {
      // No token for both: then without the other.
      if (isSlipwayError(error, "UNAUTHORIZED")) return undefined;
      throw error;
    }
    await response.body?.cancel();
    if (response.status === 201)
      return { digest: source.digest as Digest, size: source.size as number, mountedFrom: from };
    // Not allowed to read there, or no such blob: then it is sent.
    return response.status === 202 ? session(response) : undefined;
  }

  function session(response: Response): Session {
    const location = response.headers.get("location");
    if (location === null) throw new SlipwayError("REGISTRY_FAILED", `${at.host} does not say where to send a blob to`);
    return {
      location: at.resolve(location),
      offset: 0,
      minChunk: Number(response.headers.get("oci-chunk-min-length") ?? 0) || 0,
    };
  }

  async function begin(): Promise<Session> {
    const response = await at.ask({ method: "POST", repository, path: `${repository}/blobs/uploads/`, scope });
    if (response.status !== 202) throw await refused(response);
    await response.body?.cancel();
    return session(response);
  }

  /** How far a session has come, asked after a failure. A fresh one where the registry knows nothing of it any more. */
  async function takeUp(broken: Session): Promise<Session | Uploaded> {
    const { digest, size } = source;
    if (digest !== undefined && size !== undefined) {
      // The answer alone may have been lost.
      const response = await at.ask({ method: "HEAD", repository, path: `${repository}/blobs/${digest}`, scope });
      await response.body?.cancel();
      if (response.ok) return { digest, size };
    }
    const response = await at.ask({ repository, path: broken.location, scope });
    await response.body?.cancel();
    const end = /^(?:bytes=)?0-(\d+)$/.exec(response.headers.get("range") ?? "")?.[1];
    if (response.status !== 204 && response.status !== 202) return begin();
    const location = response.headers.get("location");
    return {
      location: location === null ? broken.location : at.resolve(location),
      // "0-0" is said for nothing as well as for one byte.
      offset: end === undefined || end === "0" ? 0 : Number(end) + 1,
      minChunk: broken.minChunk,
    };
  }

  /** One pass over the source from where the session stands. Moves `current` on with what is known to have arrived. */
  async function send(current: Session, inPieces: boolean): Promise<Uploaded> {
    const pass = createPass(await source.open(), current.offset, { hash: source.digest === undefined, onProgress });
    try {
      await pass.skip();
      const { digest, size } = source;
      if (!inPieces && digest !== undefined && size !== undefined && current.offset === 0) {
        await put(current, digest, { pass, length: size });
        return { digest, size };
      }
      if (!inPieces) await patch(current, { stream: (alive) => pass.rest(alive), length: size });
      else {
        const room = Math.max(CHUNK, current.minChunk);
        for (;;) {
          const chunk = await pass.piece(room);
          if (chunk.length > 0) await patch(current, { bytes: chunk, length: current.offset + chunk.length });
          if (chunk.length < room) break;
        }
      }
      const found = pass.result();
      const end = { digest: source.digest ?? (found.digest as Digest), size: found.size };
      await put(current, end.digest);
      return end;
    } catch (error) {
      const failed = pass.failure();
      throw failed === undefined ? error : failed.error;
    } finally {
      pass.end();
    }
  }

  async function patch(
    current: Session,
    what: {
      bytes?: Uint8Array;
      stream?: (alive: () => void) => ReadableStream<Uint8Array>;
      /** Offset after it, where that is known. */
      length: number | undefined;
    },
  ): Promise<void> {
    const { bytes, stream, length } = what;
    if (length === current.offset && bytes === undefined) return;
    const range: Record<string, string> =
      length === undefined
        ? {}
        : { "Content-Range": `${current.offset}-${length - 1}`, "Content-Length": String(length - current.offset) };
    const response = await at.ask({
      method: "PATCH",
      repository,
      path: current.location,
      scope,
      headers: { "Content-Type": "application/octet-stream", ...range },
      body: (alive) => bytes ?? (stream as NonNullable<typeof stream>)(alive),
      once: true,
    });
    if (response.status === 416) {
      await response.body?.cancel();
      throw new Transient("the registry has come to another place of the blob");
    }
    if (response.status !== 202 && response.status !== 201 && response.status !== 204) throw await sized(response);
    await response.body?.cancel();
    const location = response.headers.get("location");
    if (location !== null) current.location = at.resolve(location);
    if (length !== undefined) current.offset = length;
  }

  async function put(current: Session, digest: Digest, whole?: { pass: Pass; length: number }): Promise<void> {
    const url = new URL(current.location);
    url.searchParams.set("digest", digest);
    const response = await at.ask({
      method: "PUT",
      repository,
      path: url.href,
      scope,
      headers: {
        "Content-Type": "application/octet-stream",
        "Content-Length": String(whole?.length ?? 0),
      },
      ...(whole === undefined || whole.length === 0 ? {} : { body: (alive: () => void) => whole.pass.rest(alive) }),
      once: true,
      stall: patience.finish,
    });
    if (response.status === 400) {
      // Damaged on the way, as a rule: what was sent is void.
      const error = await failure(at, response, { repository: named, reference: digest, push: true });
      throw new Void(error);
    }
    if (response.status !== 201 && response.status !== 204) throw await sized(response);
    await response.body?.cancel();
  }

  async function sized(response: Response): Promise<Error> {
    if (response.status === 413) {
      await response.body?.cancel();
      return new TooLarge();
    }
    return refused(response);
  }

  let current: Session | undefined;
  if (source.digest !== undefined && source.size !== undefined) {
    for (const from of mountFrom) {
      const outcome = await mount(from);
      if (outcome === undefined) continue;
      if ("digest" in outcome) return outcome;
      current = outcome;
      break;
    }
  }
  current ??= await begin();
  let inPieces = false;
  for (let failures = 0; ; ) {
    const before = current.offset;
    try {
      return await send(current, inPieces);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof TooLarge && !inPieces) {
        inPieces = true;
        current = await begin();
        continue;
      }
      if (error instanceof Void) {
        if (++failures >= patience.tries) throw error.cause;
        current = await begin();
        continue;
      }
      if (!(error instanceof Transient)) throw error instanceof TooLarge ? tooLarge(at, named) : error;
      if (!error.again || ++failures >= patience.tries) throw error;
      await backOff(error, failures, signal, patience);
      const outcome = await takeUp(current);
      if ("digest" in outcome) return outcome;
      // What has brought something may go on for as long as it likes.
      if (outcome.offset > before) failures = 0;
      current = outcome;
    }
  }
}

class TooLarge extends Error {}
class Void extends Error {
  constructor(override readonly cause: SlipwayError) {
    super(cause.message);
  }
}

function tooLarge(at: Endpoint, named: string): SlipwayError {
  return new SlipwayError("REGISTRY_FAILED", `${at.host} takes no request of ${CHUNK} bytes for ${named}`);
}

interface Pass {
  /** Reads over what the registry has. */
  skip(): Promise<void>;
  /** Up to `room` bytes; fewer only at the end. */
  piece(room: number): Promise<Uint8Array>;
  /** All that is left. Again (after a redirect, for a token) only as long as nothing was read of it. @throws `Transient` */
  rest(alive: () => void): ReadableStream<Uint8Array>;
  /** Of all bytes, once they are read. */
  result(): { digest: Digest | undefined; size: number };
  /** What reading the source has thrown. */
  failure(): { error: unknown } | undefined;
  end(): void;
}

/** One reading of the source, from its first byte. */
function createPass(
  stream: ReadableStream<Uint8Array>,
  offset: number,
  { hash, onProgress }: { hash: boolean; onProgress: ((bytes: number) => void) | undefined },
): Pass {
  const reader = stream.getReader();
  const hasher = hash ? createHasher() : undefined;
  let failed: { error: unknown } | undefined;
  let size = 0;
  let left: Uint8Array | undefined;
  let ended = false;
  let started = false;

  async function next(most: number): Promise<Uint8Array | undefined> {
    while (left === undefined || left.length === 0) {
      if (ended) return undefined;
      let piece: Awaited<ReturnType<typeof reader.read>>;
      try {
        piece = await reader.read();
      } catch (error) {
        failed = { error };
        throw error;
      }
      if (piece.done) {
        ended = true;
        return undefined;
      }
      left = piece.value;
    }
    const piece = left.subarray(0, most);
    left = left.length > most ? left.subarray(most) : undefined;
    hasher?.update(piece);
    size += piece.length;
    return piece;
  }

  return {
    async skip() {
      while (size < offset && (await next(offset - size)) !== undefined);
    },
    async piece(room) {
      const found = new Uint8Array(room);
      let used = 0;
      while (used < room) {
        const piece = await next(room - used);
        if (piece === undefined) break;
        found.set(piece, used);
        used += piece.length;
      }
      onProgress?.(size);
      return found.subarray(0, used);
    },
    rest(alive) {
      // Half of it has gone with an earlier request: where the registry stands must be asked.
      if (started) throw new Transient("the registry wants the request once more");
      return new ReadableStream<Uint8Array>(
        {
          async pull(controller) {
            started = true;
            const piece = await next(Number.POSITIVE_INFINITY);
            alive();
            onProgress?.(size);
            if (piece === undefined) controller.close();
            else controller.enqueue(piece);
          },
        },
        { highWaterMark: 0 },
      );
    },
    result: () => ({ digest: hasher?.digest(), size }),
    failure: () => failed,
    end: () => void (ended || reader.cancel().catch(() => {})),
  };
}
