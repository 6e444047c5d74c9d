import { expect, test } from "bun:test";
import { type Digest, sha256 } from "../oci/digest.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { createRegistry } from "./createRegistry.ts";

const content = new Uint8Array(20 * 1024 * 1024).map((_, i) => (i * 7) % 251);
const digest = sha256(content);

interface Behaviour {
  /** Cut the connection of the first request with a body after so many bytes. */
  cutAfter?: number;
  /** Larger requests are answered 413. */
  largest?: number;
  minChunk?: number;
  /** The session is not known any more after the first failure. */
  forgets?: boolean;
  /** The answer to the last PUT is lost the first time. */
  losesAnswer?: boolean;
  mounts?: string[];
}

/** A registry that takes blobs by the protocol, and keeps `METHOD what` of each request. */
async function withUploads(
  behaviour: Behaviour,
  work: (server: { host: string; log: string[]; blobs: Map<string, Uint8Array> }) => Promise<void>,
): Promise<void> {
  const log: string[] = [];
  const blobs = new Map<string, Uint8Array>();
  const sessions = new Map<string, Uint8Array>();
  let cut = behaviour.cutAfter;
  let lost = behaviour.losesAnswer !== true;
  let count = 0;

  const at = (id: string, more: Record<string, string> = {}) => {
    const length = sessions.get(id)?.length ?? 0;
    return { Location: `/v2/a/blobs/uploads/${id}?state=${++count}`, Range: `0-${Math.max(0, length - 1)}`, ...more };
  };

  async function take(request: Request, id: string): Promise<Response | undefined> {
    const before = sessions.get(id) as Uint8Array;
    const from = /^(\d+)-/.exec(request.headers.get("content-range") ?? "")?.[1];
    if (from !== undefined && Number(from) !== before.length) return new Response(null, { status: 416 });
    const pieces = [before];
    let length = 0;
    for await (const piece of request.body ?? []) {
      length += piece.length;
      pieces.push(piece);
      if (behaviour.largest !== undefined && length > behaviour.largest) return new Response(null, { status: 413 });
      if (cut !== undefined && length >= cut) {
        cut = undefined;
        sessions.set(id, Buffer.concat(pieces));
        if (behaviour.forgets) sessions.delete(id);
        return new Response(null, { status: 500 });
      }
    }
    sessions.set(id, Buffer.concat(pieces));
    return undefined;
  }

  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const { pathname, searchParams } = new URL(request.url);
      const id = /uploads\/(.+)$/.exec(pathname)?.[1] ?? "";
      const range = request.headers.get("content-range");
      log.push(`${request.method}${range === null ? "" : ` ${range}`}`);
      const known = sessions.has(id);
      switch (request.method) {
        case "HEAD":
          return new Response(null, { status: blobs.has(pathname.split("/").at(-1) as string) ? 200 : 404 });
        case "POST": {
          if (behaviour.mounts?.includes(searchParams.get("from") ?? "")) return new Response(null, { status: 201 });
          const fresh = crypto.randomUUID();
          sessions.set(fresh, new Uint8Array(0));
          const min = behaviour.minChunk;
          return new Response(null, {
            status: 202,
            headers: at(fresh, min === undefined ? {} : { "OCI-Chunk-Min-Length": String(min) }),
          });
        }
        case "GET":
          return new Response(null, known ? { status: 204, headers: at(id) } : { status: 404 });
        case "PATCH": {
          const failed = await take(request, id);
          return failed ?? new Response(null, { status: 202, headers: at(id) });
        }
        case "PUT": {
          const failed = await take(request, id);
          if (failed !== undefined) return failed;
          const all = sessions.get(id) as Uint8Array;
          const said = searchParams.get("digest") as string;
          if (sha256(all) !== said)
            return Response.json({ errors: [{ code: "DIGEST_INVALID", message: "damaged" }] }, { status: 400 });
          blobs.set(said, all);
          if (lost) return new Response(null, { status: 201 });
          lost = true;
          return new Response(null, { status: 502 });
        }
      }
      return new Response(null, { status: 405 });
    },
  });
  try {
    await work({ host: `127.0.0.1:${server.port}`, log, blobs });
  } finally {
    await server.stop(true);
  }
}

function upload(
  host: string,
  { known = true, bytes = content, mountFrom = [] as string[] } = {},
): Promise<{ digest: Digest; size: number; mountedFrom?: string }> {
  const registry = createRegistry({
    host,
    signal: new AbortController().signal,
    credentials: async () => undefined,
    patience: { stall: 2000, finish: 2000, firstWait: 1, tries: 4 },
  });
  const open = async (): Promise<ReadableStream<Uint8Array>> => {
    let sent = 0;
    return new ReadableStream({
      pull(controller) {
        if (sent === bytes.length) return controller.close();
        controller.enqueue(bytes.slice(sent, sent + 100_003));
        sent = Math.min(bytes.length, sent + 100_003);
      },
    });
  };
  return registry.upload("a", { ...(known ? { digest: sha256(bytes), size: bytes.length } : {}), open }, { mountFrom });
}

const cases: Record<string, { behaviour: Behaviour; known?: boolean; mountFrom?: string[]; log: string[] }> = {
  "a blob of which all is known goes up in one request": { behaviour: {}, log: ["POST", "PUT"] },
  "one whose digest comes about on the way is streamed": { behaviour: {}, known: false, log: ["POST", "PATCH", "PUT"] },
  "what breaks off goes on where the registry says it has come to": {
    behaviour: { cutAfter: 5_000_000 },
    log: ["POST", "PUT", "HEAD", "GET", expect.stringMatching(/^PATCH 5\d{6}-20971519$/), "PUT"],
  },
  "a stream that breaks off goes on so as well": {
    behaviour: { cutAfter: 5_000_000 },
    known: false,
    log: ["POST", "PATCH", "GET", "PATCH", "PUT"],
  },
  "a session that the registry has forgotten is begun anew": {
    behaviour: { cutAfter: 5_000_000, forgets: true },
    log: ["POST", "PUT", "HEAD", "GET", "POST", "PUT"],
  },
  "an answer that is lost is found out": { behaviour: { losesAnswer: true }, log: ["POST", "PUT", "HEAD"] },
  "a registry that takes no large request gets pieces": {
    behaviour: { largest: 9_000_000 },
    log: ["POST", "PUT", "POST", "PATCH 0-8388607", "PATCH 8388608-16777215", "PATCH 16777216-20971519", "PUT"],
  },
  "pieces are no smaller than it asks for": {
    behaviour: { largest: 12_000_000, minChunk: 10_000_000 },
    known: false,
    log: ["POST", "PATCH", "POST", "PATCH 0-9999999", "PATCH 10000000-19999999", "PATCH 20000000-20971519", "PUT"],
  },
  "a mount that does not come about has opened the upload": {
    behaviour: {},
    mountFrom: ["b"],
    log: ["POST", "PUT"],
  },
};

for (const [name, { behaviour, known = true, mountFrom = [], log }] of Object.entries(cases)) {
  test(name, () =>
    withUploads(behaviour, async (server) => {
      const sent = await upload(server.host, { known, mountFrom });
      expect(sent).toMatchObject({ digest, size: content.length });
      expect(server.log).toEqual(log);
      expect(server.blobs.get(digest)?.length).toBe(content.length);
    }),
  );
}

test("a mount that comes about sends nothing", () =>
  withUploads({ mounts: ["c"] }, async ({ host, log }) => {
    expect((await upload(host, { mountFrom: ["c"] })).mountedFrom).toBe("c");
    expect(log).toEqual(["POST"]);
  }));

test("a source that cannot be read ends the upload with its own error, and nothing is tried again", () =>
  withUploads({}, async ({ host, log }) => {
    const registry = createRegistry({ host, signal: new AbortController().signal, credentials: async () => undefined });
    const open = async () =>
      new ReadableStream<Uint8Array>({
        pull: () => Promise.reject(new SlipwayError("BLOB_CORRUPT", "blob in the store is damaged")),
      });
    await expect(registry.upload("a", { digest, size: 10, open })).rejects.toMatchObject({ code: "BLOB_CORRUPT" });
    await Bun.sleep(50);
    expect(log.filter((line) => line === "POST")).toHaveLength(1);
  }));
