import { expect, test } from "bun:test";
import { type Answer, withServer } from "../../test/support/scriptedServer.ts";
import { sha256 } from "../oci/digest.ts";
import { createRegistry, type RegistryOptions } from "./createRegistry.ts";
import { parseChallenges } from "./parseChallenges.ts";

function registry(host: string, options: Partial<RegistryOptions> = {}) {
  return createRegistry({ host, signal: new AbortController().signal, credentials: async () => undefined, ...options });
}

const manifest = JSON.stringify({
  schemaVersion: 2,
  config: { mediaType: "x", digest: sha256("config"), size: 6 },
  layers: [],
});
const found: Answer = () => new Response(manifest);
const bytes = new Uint8Array(300_000).map((_, i) => i % 251);
const blob = { mediaType: "x", digest: sha256(bytes), size: bytes.length };

async function read(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

test("what a server answers when it is busy is asked again, after the time that it names", () =>
  withServer(
    {
      "/v2/a/manifests/1": (_, count) =>
        count < 2
          ? new Response("", { status: count === 0 ? 429 : 503, headers: { "retry-after": "0" } })
          : new Response(manifest),
    },
    async ({ host, asked }) => {
      expect((await registry(host).manifest("a", "1")).digest).toBe(sha256(manifest));
      expect(asked).toHaveLength(3);
    },
  ));

test("a limit that does not pass says so, and what to do", () =>
  withServer(
    { "/v2/a/manifests/1": () => new Response("", { status: 429, headers: { "retry-after": "0" } }) },
    async ({ host }) => {
      await expect(registry(host).manifest("a", "1")).rejects.toMatchObject({
        code: "RATE_LIMITED",
        hint: expect.stringContaining("log in"),
      });
    },
  ));

test("a 401 is answered by a token for the repository, kept while it lives and renewed when it has expired", () => {
  let tokens = 0;
  return withServer(
    {
      "/v2/a/manifests/1": (request) =>
        request.headers.get("authorization") === `Bearer t${tokens}` && tokens !== 1
          ? new Response(manifest)
          : new Response("", {
              status: 401,
              headers: {
                "www-authenticate": `Bearer realm="http://${request.headers.get("host")}/token",service="s, with comma",scope="repository:a:pull"`,
              },
            }),
      "/token": (request) => {
        const { searchParams } = new URL(request.url);
        expect(searchParams.get("service")).toBe("s, with comma");
        expect(searchParams.get("scope")).toBe("repository:a:pull");
        expect(request.headers.get("authorization")).toBe(`Basic ${Buffer.from("me:secret").toString("base64")}`);
        tokens++;
        return Response.json({ token: `t${tokens}`, expires_in: 300 });
      },
    },
    async ({ host }) => {
      const own = registry(host, { credentials: async () => ({ username: "me", password: "secret" }) });
      // The first token is refused at once: that is a no.
      await expect(own.manifest("a", "1")).rejects.toMatchObject({ code: "UNAUTHORIZED" });
      const again = registry(host, { credentials: async () => ({ username: "me", password: "secret" }) });
      tokens = 1;
      await again.manifest("a", "1");
      await again.manifest("a", "1");
      expect(tokens).toBe(2);
    },
  );
});

test("basic credentials are sent when they are asked for, and stand in no message", () =>
  withServer(
    {
      "/v2/a/manifests/1": (request) =>
        request.headers.get("authorization") === `Basic ${Buffer.from("me:right").toString("base64")}`
          ? new Response(manifest)
          : new Response("", { status: 401, headers: { "www-authenticate": 'Basic realm="r"' } }),
    },
    async ({ host }) => {
      await registry(host, { credentials: async () => ({ username: "me", password: "right" }) }).manifest("a", "1");
      const failure = await registry(host, { credentials: async () => ({ username: "me", password: "wrongword" }) })
        .manifest("a", "1")
        .catch((error) => error);
      expect(failure).toMatchObject({ code: "UNAUTHORIZED" });
      expect(JSON.stringify([failure.message, failure.hint, String(failure.stack)])).not.toContain("wrongword");
    },
  ));

for (const ranges of [true, false]) {
  test(
    `a blob whose connection breaks is taken up where it was, ${ranges ? "by a range" : "from the start where there are no ranges"}`,
    () =>
      withServer(
        {
          [`/v2/a/blobs/${blob.digest}`]: (request, count) => {
            const from = ranges ? Number(/bytes=(\d+)-/.exec(request.headers.get("range") ?? "")?.[1] ?? 0) : 0;
            const rest = bytes.subarray(from);
            const status = from > 0 ? 206 : 200;
            if (count >= 3) return new Response(rest, { status });
            let sent = 0;
            return new Response(
              new ReadableStream({
                async pull(controller) {
                  if (sent > 90_000) {
                    controller.error(new Error("gone"));
                    return;
                  }
                  controller.enqueue(rest.slice(sent, sent + 10_007));
                  sent += 10_007;
                  await Bun.sleep(1);
                },
              }),
              { status },
            );
          },
        },
        async ({ host, asked }) => {
          expect(await read(await registry(host).blob("a", blob))).toEqual(bytes);
          expect(asked.length).toBe(4);
        },
      ),
    20_000,
  );
}

test("a redirect to another host is followed without the authorization", () =>
  withServer({ "/store": (request) => new Response(request.headers.get("authorization") ?? "none") }, (other) =>
    withServer(
      {
        [`/v2/a/blobs/${blob.digest}`]: (request) =>
          request.headers.has("authorization")
            ? Response.redirect(`${other.url}/store`, 307)
            : new Response("", { status: 401, headers: { "www-authenticate": "Basic" } }),
      },
      async ({ host }) => {
        const own = registry(host, { credentials: async () => ({ username: "me", password: "x" }) });
        const stream = await own.blob("a", { ...blob, size: 4 });
        expect(Buffer.from(await read(stream)).toString()).toBe("none");
      },
    ),
  ));

test("a mirror that fails leads to the next, and one that lies about a digest is not believed", () =>
  withServer({ "/v2/a/manifests/1": () => new Response("", { status: 404 }) }, (down) =>
    withServer({ "/v2/a/manifests/1": found, [`/v2/a/manifests/${sha256("other")}`]: found }, async ({ host, url }) => {
      const both = registry(host, { mirrors: [down.url, "http://127.0.0.1:9", url] });
      expect((await both.manifest("a", "1")).digest).toBe(sha256(manifest));
      await expect(registry(host).manifest("a", sha256("other"))).rejects.toMatchObject({ code: "DIGEST_MISMATCH" });
    }),
  ));

test("a manifest without end is cut off", () =>
  withServer(
    {
      "/v2/a/manifests/1": () =>
        new Response(new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65_536)) })),
    },
    async ({ host }) => {
      await expect(registry(host).manifest("a", "1")).rejects.toMatchObject({ code: "MANIFEST_TOO_LARGE" });
    },
  ));

test("challenges are read with their quotes and commas", () => {
  expect(parseChallenges('Bearer realm="https://a/t?x=1,2",service=s, Basic realm="q\\"r"')).toEqual([
    { scheme: "bearer", parameters: { realm: "https://a/t?x=1,2", service: "s" } },
    { scheme: "basic", parameters: { realm: 'q"r' } },
  ]);
});
