import type { Digest } from "../../oci/digest.ts";
import type { Lease, Receiving, Store } from "../../store/Store.ts";
import { Refusal } from "./protocol.ts";

/** Blobs on their way in. What is not finished in time, or when the server ends in whatever way, is gone. */
export interface Uploads {
  begin(repository: string): Upload;
  /** @throws Refusal `BLOB_UPLOAD_UNKNOWN` */
  find(id: string, repository: string): Upload;
  close(): void;
}

export interface Upload {
  readonly id: string;
  readonly size: number;
  /**
   * Adds a request's body. `range` is its `Content-Range`, `length` its `Content-Length`: what they say must come true. What has come of a
   * body that breaks off stays, and the client goes on from there.
   * @throws Refusal `SIZE_INVALID` (416, where the range begins elsewhere), `BLOB_UPLOAD_INVALID`
   */
  write(body: ReadableStream<Uint8Array> | null, said: { range: string | null; length: string | null }): Promise<void>;
  /** @throws SlipwayError `DIGEST_MISMATCH` */
  finish(digest: Digest, keep: Lease): void;
  cancel(): void;
}

/** A session that nothing was heard of for this long is given up. */
const IDLE_MS = 3_600_000;
/** Sessions at a time: each has a file open. */
const MOST = 256;

export function createUploads(store: Store, now: () => number = Date.now): Uploads {
  interface Session {
    upload: Upload;
    repository: string;
    touched: number;
    busy: boolean;
  }
  const sessions = new Map<string, Session>();

  function giveUpIdle(): void {
    for (const { upload, touched, busy } of sessions.values()) if (!busy && now() - touched > IDLE_MS) upload.cancel();
  }

  function create(repository: string): Session {
    const id = crypto.randomUUID();
    const lease = store.lease("upload");
    let receiving: Receiving;
    try {
      receiving = store.blobs.receive(lease);
    } catch (error) {
      lease.release();
      throw error;
    }
    function end(): void {
      sessions.delete(id);
      receiving.abort();
      lease.release();
    }

    const upload: Upload = {
      id,
      get size() {
        return receiving.size;
      },
      async write(body, { range, length }) {
        if (session.busy) throw new Refusal(409, "BLOB_UPLOAD_INVALID", "another request writes to this upload");
        const wanted = lengthOf(range, length, receiving.size);
        session.busy = true;
        const before = receiving.size;
        try {
          for await (const chunk of body ?? []) {
            if (wanted !== undefined && receiving.size - before + chunk.length > wanted)
              throw new Refusal(400, "SIZE_INVALID", `more than the ${wanted} bytes that were announced`);
            if (sessions.get(id) !== session) throw new Refusal(404, "BLOB_UPLOAD_UNKNOWN", "the upload was cancelled");
            receiving.write(chunk);
          }
        } catch (error) {
          // What was told wrongly cannot be gone on with; a connection that broke can.
          if (error instanceof Refusal) end();
          throw error;
        } finally {
          session.busy = false;
          session.touched = now();
        }
        if (wanted !== undefined && receiving.size - before !== wanted)
          throw new Refusal(400, "SIZE_INVALID", `${receiving.size - before} bytes instead of ${wanted}`);
      },
      finish(digest, keep) {
        try {
          receiving.finish(digest, keep);
        } finally {
          end();
        }
      },
      cancel: end,
    };
    const session: Session = { upload, repository, touched: now(), busy: false };
    sessions.set(id, session);
    return session;
  }

  return {
    begin(repository) {
      giveUpIdle();
      if (sessions.size >= MOST)
        throw new Refusal(429, "TOOMANYREQUESTS", `${MOST} uploads are under way`, { "Retry-After": "10" });
      return create(repository).upload;
    },
    find(id, repository) {
      giveUpIdle();
      const found = sessions.get(id);
      if (found === undefined || found.repository !== repository)
        throw new Refusal(404, "BLOB_UPLOAD_UNKNOWN", "there is no such upload");
      found.touched = now();
      return found.upload;
    },
    close() {
      for (const { upload } of sessions.values()) upload.cancel();
    },
  };
}

/** How many bytes must come, where that is said. @throws Refusal */
function lengthOf(range: string | null, length: string | null, size: number): number | undefined {
  if (length !== null && !/^\d{1,15}$/.test(length))
    throw new Refusal(400, "SIZE_INVALID", "Content-Length is not a whole number");
  if (range === null) return length === null ? undefined : Number(length);
  const [, first, last] = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/(?:\d+|\*))?$/.exec(range) ?? [];
  if (first === undefined || last === undefined || Number(last) < Number(first))
    throw new Refusal(400, "BLOB_UPLOAD_INVALID", "Content-Range is not START-END");
  if (Number(first) !== size)
    throw new Refusal(416, "SIZE_INVALID", `the upload has come to ${size}, not to ${first}`, rangeHeader(size));
  const announced = Number(last) - Number(first) + 1;
  if (length !== null && Number(length) !== announced)
    throw new Refusal(400, "SIZE_INVALID", `Content-Length is ${length}, the range has ${announced} bytes`);
  return announced;
}

/** How far an upload has come, as the protocol says it: `0-0` is said for nothing as well as for one byte. */
export function rangeHeader(size: number): Record<string, string> {
  return { Range: `0-${Math.max(0, size - 1)}` };
}
