import { expect, test } from "bun:test";
import { createServer, type Socket } from "node:net";
import { type Answer, withServer } from "../../test/support/scriptedServer.ts";
import { sha256 } from "../oci/digest.ts";
import { createRegistry, type RegistryOptions } from "./createRegistry.ts";

function registry(host: string, options: Partial<RegistryOptions> = {}) {
  return createRegistry({
    host,
    signal: new AbortController().signal,
    credentials: async () => undefined,
    patience: { stall: 150, finish: 300, firstWait: 1, tries: 4 },
    ...options,
  });
}

const manifest = JSON.stringify({
  schemaVersion: 2,
  config: { mediaType: "x", digest: sha256("config"), size: 6 },
  layers: [],
});
const bytes = new Uint8Array(100_000).map((_, i) => i % 251);
const blob = { mediaType: "x", digest: sha256(bytes), size: bytes.length };
const path = `/v2/a/blobs/${blob.digest}`;

async function read(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** A server of bytes: each connection is given to the next of `acts`, the last of them again and again. */
async function withSocket(
  acts: ((socket: Socket, request: string) => void)[],
  work: (host: string, asked: string[]) => Promise<void>,
): Promise<void> {
  const asked: string[] = [];
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("error", () => {});
    socket.on("data", (data) => {
      const text = data.toString("latin1");
      const act = acts[Math.min(asked.length, acts.length - 1)];
      asked.push(text);
      act?.(socket, text);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await work(`127.0.0.1:${(server.address() as { port: number }).port}`, asked);
  } finally {
    for (const socket of open) socket.destroy();
    server.close();
  }
}

const whole = (socket: Socket, request: string): void => {
  const from = Number(/range: bytes=(\d+)-/i.exec(request)?.[1] ?? 0);
  const rest = bytes.subarray(from);
  socket.write(`HTTP/1.1 ${from > 0 ? 206 : 200} OK\r\nContent-Length: ${rest.length}\r\n\r\n`);
  socket.write(rest);
};
const half = (socket: Socket): void => {
  socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${bytes.length}\r\n\r\n`);
  socket.write(bytes.subarray(0, bytes.length / 2));
};

for (const status of [408, 429, 499, 500, 502, 503, 504, 522]) {
  test(`an answer of ${status} is no last word`, () =>
    withServer(
      { "/v2/a/manifests/1": (_, count) => (count < 2 ? new Response("", { status }) : new Response(manifest)) },
      async ({ host, asked }) => {
        expect((await registry(host).manifest("a", "1")).digest).toBe(sha256(manifest));
        expect(asked).toHaveLength(3);
      },
    ));
}

for (const status of [400, 403, 404, 405, 501]) {
  test(`an answer of ${status} is one`, () =>
    withServer({ "/v2/a/manifests/1": () => new Response("", { status }) }, async ({ host, asked }) => {
      await expect(registry(host).manifest("a", "1")).rejects.toMatchObject({ name: "SlipwayError" });
      await Bun.sleep(30);
      expect(asked).toHaveLength(1);
    }));
}

test("a server that stays busy is given up after some tries", () =>
  withServer({ "/v2/a/manifests/1": () => new Response("", { status: 503 }) }, async ({ host, asked }) => {
    const failure = await registry(host)
      .manifest("a", "1")
      .catch((error) => error);
    expect(failure).toMatchObject({ code: "REGISTRY_UNREACHABLE", message: expect.stringContaining("answered 503") });
    expect(asked).toHaveLength(4);
  }));

test("the time that a server names is waited for, as seconds or as a date", () =>
  withServer(
    {
      "/v2/a/manifests/1": (_, count) =>
        count === 0
          ? new Response("", { status: 429, headers: { "retry-after": "1" } })
          : count === 1
            ? new Response("", { status: 503, headers: { "retry-after": new Date(Date.now() - 5000).toUTCString() } })
            : new Response(manifest),
    },
    async ({ host }) => {
      const start = performance.now();
      await registry(host).manifest("a", "1");
      const took = performance.now() - start;
      expect(took).toBeGreaterThan(950);
      expect(took).toBeLessThan(3000);
    },
  ));

const breaks: Record<string, (socket: Socket) => void> = {
  "is closed before an answer": (socket) => socket.end(),
  "is reset before an answer": (socket) => socket.resetAndDestroy(),
  "gives no answer": () => {},
  "is closed in the middle of a blob": (socket) => {
    half(socket);
    setTimeout(() => socket.end(), 20);
  },
  "is reset in the middle of a blob": (socket) => {
    half(socket);
    setTimeout(() => socket.resetAndDestroy(), 20);
  },
  "stands still in the middle of a blob": half,
};
for (const [name, act] of Object.entries(breaks)) {
  test(`a connection that ${name} is tried anew, and goes on where it was`, () =>
    withSocket([act, act, whole], async (host, asked) => {
      expect(await read(await registry(host).blob("a", blob))).toEqual(bytes);
      if (name.includes("middle")) expect(asked.at(-1)).toMatch(/range: bytes=[1-9]\d*-/i);
    }));
}

test("a manifest whose connection stands still in the middle is asked for again", () =>
  withSocket(
    [
      (socket) => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${manifest.length}\r\n\r\n${manifest.slice(0, 9)}`),
      (socket) => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${manifest.length}\r\n\r\n${manifest}`),
    ],
    async (host) => {
      expect((await registry(host).manifest("a", "1")).digest).toBe(sha256(manifest));
    },
  ));

test("a manifest that was damaged on the way is asked for again", () =>
  withServer(
    {
      [`/v2/a/manifests/${sha256(manifest)}`]: (_, count) =>
        new Response(count === 0 ? manifest.replace("6", "7") : manifest),
    },
    async ({ host }) => {
      expect((await registry(host).manifest("a", sha256(manifest))).digest).toBe(sha256(manifest));
    },
  ));

test("a blob that announces more than its manifest says is refused before a byte of it is read", () =>
  withServer({ [path]: () => new Response(new Uint8Array(bytes.length + 1)) }, async ({ host }) => {
    await expect(registry(host).blob("a", blob)).rejects.toMatchObject({ code: "SIZE_MISMATCH" });
  }));

test("a mirror that breaks down in the middle of a blob is left for the host, which gives the rest alone", () =>
  withServer(
    {
      [path]: (_, count) =>
        count > 0
          ? new Response("", { status: 404 })
          : new Response(
              new ReadableStream({
                async pull(controller) {
                  controller.enqueue(bytes.slice(0, 60_000));
                  await Bun.sleep(20);
                  controller.error(new Error("gone"));
                },
              }),
            ),
    },
    (mirror) => {
      const answer: Answer = (request) => {
        const from = Number(/bytes=(\d+)-/.exec(request.headers.get("range") ?? "")?.[1] ?? 0);
        return new Response(bytes.slice(from), { status: from > 0 ? 206 : 200 });
      };
      return withServer({ [path]: answer }, async ({ host, asked }) => {
        expect(await read(await registry(host, { mirrors: [mirror.url] }).blob("a", blob))).toEqual(bytes);
        expect(asked.map(({ headers }) => headers.get("range"))).toEqual(["bytes=60000-"]);
      });
    },
  ));

test("redirects end after a while", () =>
  withServer(
    { [path]: (request) => new Response(null, { status: 307, headers: { location: request.url } }) },
    async ({ host }) => {
      await expect(registry(host).blob("a", blob)).rejects.toMatchObject({
        message: expect.stringContaining("redirects without end"),
      });
    },
  ));

test("tags come page by page, and a registry without referrers says so", () =>
  withServer(
    {
      "/v2/a/tags/list": (request) =>
        new URL(request.url).searchParams.has("last")
          ? Response.json({ tags: ["c"] })
          : Response.json({ tags: ["a", "b"] }, { headers: { link: '</v2/a/tags/list?last=b>; rel="next"' } }),
    },
    async ({ host }) => {
      expect(await registry(host).tags("a")).toEqual(["a", "b", "c"]);
      expect(await registry(host).referrers("a", sha256("x"))).toBeUndefined();
    },
  ));
