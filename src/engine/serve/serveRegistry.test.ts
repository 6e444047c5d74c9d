import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { putMadeImage } from "../../../test/support/madeImage.ts";
import { withEngine } from "../../../test/support/withEngine.ts";
import { mediaTypes } from "../../oci/descriptor.ts";
import { sha256 } from "../../oci/digest.ts";
import type { Index, Manifest } from "../../oci/manifest.ts";
import type { Store } from "../../store/Store.ts";
import { serveRegistry } from "./serveRegistry.ts";

const isRoot = process.getuid?.() === 0;
const rootTest = isRoot ? test : test.skip;

interface Served {
  store: Store;
  lines: string[];
  /** Asks for a path below `/v2/`. */
  ask(path: string, init?: RequestInit & { method?: string }): Promise<Response>;
  json<T>(path: string): Promise<T>;
  /** The code of a refusal. */
  code(path: string, init?: RequestInit): Promise<string>;
  blob(name: string, bytes: Uint8Array | string): Promise<{ digest: `sha256:${string}`; size: number }>;
  put(name: string, reference: string, manifest: object, type?: string): Promise<Response>;
}

async function withServed(
  writable: boolean,
  work: (served: Served) => Promise<undefined | (() => void)>,
): Promise<void> {
  await withEngine(async ({ engine }) => {
    const lines: string[] = [];
    const server = serveRegistry(engine, { addr: "127.0.0.1:0", writable, log: (line) => lines.push(line) });
    const ask: Served["ask"] = (path, init) => fetch(new URL(path, `${server.url}/v2/`), init);
    let afterwards: undefined | (() => void);
    try {
      afterwards = await work({
        store: engine.store,
        lines,
        ask,
        json: async (path) => (await ask(path)).json() as Promise<never>,
        async code(path, init) {
          const response = await ask(path, init);
          const body = (await response.json()) as { errors: { code: string }[] };
          return `${response.status} ${body.errors[0]?.code}`;
        },
        async blob(name, content) {
          const bytes = Buffer.from(content);
          const digest = sha256(bytes);
          const response = await ask(`${name}/blobs/uploads/?digest=${digest}`, { method: "POST", body: bytes });
          expect(response.status).toBe(201);
          return { digest, size: bytes.length };
        },
        put: (name, reference, manifest, type) =>
          ask(`${name}/manifests/${reference}`, {
            method: "PUT",
            body: JSON.stringify(manifest),
            headers: { "Content-Type": type ?? (manifest as Manifest).mediaType ?? mediaTypes.ociManifest },
          }),
      });
    } finally {
      await server.stop();
    }
    afterwards?.();
    expect(readdirSync(join(engine.store.root, "tmp"))).toEqual([]);
  });
}

rootTest("a store is read by the protocol: names, tags by pages, manifests, blobs and parts of them", () =>
  withServed(false, async ({ store, ask, json, code }) => {
    putMadeImage(store, "docker.io/library/hello:latest", [[{ path: "a", content: "one" }], [{ path: "b" }]]);
    putMadeImage(store, "docker.io/team/app:1", [[{ path: "a", content: "one" }]]);
    for (const tag of ["2", "10", "3"])
      store.images.tag(`docker.io/team/app:${tag}`, store.images.list()[0]?.id as never);
    putMadeImage(store, "ghcr.io/who/what:v1", [[{ path: "c" }]]);
    putMadeImage(store, "127.0.0.1:5000/x:1", [[{ path: "d" }]]);

    expect((await ask("")).headers.get("docker-distribution-api-version")).toBe("registry/2.0");
    expect(await json<object>("_catalog")).toEqual({ repositories: ["ghcr.io/who/what", "hello", "team/app"] });
    expect(await json<object>("team/app/tags/list")).toEqual({ name: "team/app", tags: ["1", "10", "2", "3"] });
    const page = await ask("team/app/tags/list?n=2");
    expect(((await page.json()) as { tags: string[] }).tags).toEqual(["1", "10"]);
    const link = /^<(.*)>; rel="next"$/.exec(page.headers.get("link") ?? "")?.[1] as string;
    const next = await ask(link);
    expect(((await next.json()) as { tags: string[] }).tags).toEqual(["2", "3"]);
    expect(next.headers.get("link")).toBeNull();

    const response = await ask("library/hello/manifests/latest");
    const bytes = await response.bytes();
    const digest = sha256(bytes);
    expect(response.headers.get("docker-content-digest")).toBe(digest);
    expect(response.headers.get("content-type")).toBe(mediaTypes.ociManifest);
    for (const path of [
      `hello/manifests/${digest}`,
      "hello/manifests/latest",
      "library/hello/manifests/latest?ns=docker.io",
    ]) {
      const head = await ask(path, { method: "HEAD" });
      expect([head.status, head.headers.get("content-length"), head.headers.get("docker-content-digest")]).toEqual([
        200,
        String(bytes.length),
        digest,
      ]);
    }
    expect((await ask("x/manifests/1?ns=127.0.0.1:5000")).status).toBe(200);

    const manifest = JSON.parse(Buffer.from(bytes).toString()) as Manifest;
    for (const blob of [manifest.config, ...manifest.layers]) {
      const path = `hello/blobs/${blob.digest}`;
      expect((await ask(path, { method: "HEAD" })).headers.get("content-length")).toBe(String(blob.size));
      const whole = await (await ask(path)).bytes();
      expect(sha256(whole)).toBe(blob.digest);
      for (const [range, start, end] of [
        ["bytes=3-9", 3, 10],
        ["bytes=5-", 5, blob.size],
        ["bytes=-4", blob.size - 4, blob.size],
        [`bytes=0-${blob.size + 9}`, 0, blob.size],
      ] as const) {
        const part = await ask(path, { headers: { Range: range } });
        expect([part.status, part.headers.get("content-range")]).toEqual([
          206,
          `bytes ${start}-${end - 1}/${blob.size}`,
        ]);
        expect(Buffer.from(await part.bytes())).toEqual(Buffer.from(whole.subarray(start, end)));
      }
      expect(await code(path, { headers: { Range: `bytes=${blob.size}-` } })).toBe("416 SIZE_INVALID");
    }
    expect(await json<object>(`hello/referrers/${digest}`)).toEqual({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: [],
    });
    return undefined;
  }),
);

test("what is no name, digest, tag, page or path is refused in the protocol's words, and pages of the web are", () =>
  withServed(false, async ({ ask, code }) => {
    const none = `sha256:${"0".repeat(64)}`;
    expect(await code("none/tags/list")).toBe("404 NAME_UNKNOWN");
    expect(await code("none/manifests/latest")).toBe("404 MANIFEST_UNKNOWN");
    expect(await code("none/manifests/.bad")).toBe("404 MANIFEST_UNKNOWN");
    expect(await code(`none/manifests/${none}`)).toBe("404 MANIFEST_UNKNOWN");
    expect(await code(`none/blobs/${none}`)).toBe("404 BLOB_UNKNOWN");
    expect(await code("none/blobs/sha256:../../slipway.db")).toBe("400 DIGEST_INVALID");
    expect(await code("none/blobs/sha256:..%2f..%2fslipway.db")).toBe("400 DIGEST_INVALID");
    expect(await code("none/blobs/sha512:00")).toBe("400 DIGEST_INVALID");
    expect(await code("UPPER/tags/list")).toBe("400 NAME_INVALID");
    expect(await code("a%2f..%2fb/tags/list")).toBe("400 NAME_INVALID");
    expect(await code(`${"a/".repeat(200)}b/tags/list`)).toBe("400 NAME_INVALID");
    expect(await code("_catalog?n=-1")).toBe("400 PAGINATION_NUMBER_INVALID");
    expect(await code("x/manifests/1?ns=a%2fb")).toBe("400 NAME_INVALID");
    expect(await code("x/blobs/uploads/", { method: "POST" })).toBe("405 UNSUPPORTED");
    expect(await code("x/manifests/1", { method: "DELETE" })).toBe("405 UNSUPPORTED");
    expect(await code("", { headers: { Origin: "http://evil.example" } })).toBe("403 DENIED");
    expect(await code("", { headers: { "Sec-Fetch-Site": "cross-site" } })).toBe("403 DENIED");
    expect((await ask("..%2fetc/passwd")).status).toBe(404);
    return undefined;
  }));

test("a blob comes whole or in chunks, goes on where it broke off, is mounted, cancelled, and never what its digest is not", () =>
  withServed(true, async ({ store, ask, code, blob }) => {
    const { digest } = await blob("x", "whole");
    expect(store.blobs.has(digest)).toBe(true);
    expect((await ask(`y/blobs/uploads/?mount=${digest}&from=x`, { method: "POST" })).status).toBe(201);
    const unmounted = await ask(`y/blobs/uploads/?mount=${sha256("none")}&from=x`, { method: "POST" });
    expect(unmounted.status).toBe(202);

    const at = unmounted.headers.get("location") as string;
    const patch = (body: string, range?: string): RequestInit => ({
      method: "PATCH",
      body,
      ...(range === undefined ? {} : { headers: { "Content-Range": range } }),
    });
    expect((await ask(at, patch("first ", "0-5"))).headers.get("range")).toBe("0-5");
    expect(await code(at, patch("first ", "0-5"))).toBe("416 SIZE_INVALID");
    expect(await code(at, patch("x", "9-9"))).toBe("416 SIZE_INVALID");
    expect(await code(at, patch("x", "6-7"))).toBe("400 SIZE_INVALID");
    expect(await code(at, patch("x", "7-6"))).toBe("400 BLOB_UPLOAD_INVALID");
    expect(await code(at.replace("/y/", "/z/"), patch("x"))).toBe("404 BLOB_UPLOAD_UNKNOWN");
    const status = await ask(at);
    expect([status.status, status.headers.get("range")]).toEqual([204, "0-5"]);
    expect((await ask(at, patch("second "))).status).toBe(202);
    const whole = "first second third";
    expect((await ask(`${at}?digest=${sha256(whole)}`, { method: "PUT", body: "third" })).status).toBe(201);
    expect(await (await ask(`y/blobs/${sha256(whole)}`)).text()).toBe(whole);
    expect(await code(at)).toBe("404 BLOB_UPLOAD_UNKNOWN");

    const second = (await ask("y/blobs/uploads/", { method: "POST" })).headers.get("location") as string;
    expect((await ask(second, { method: "DELETE" })).status).toBe(204);
    expect(await code(second, patch("x"))).toBe("404 BLOB_UPLOAD_UNKNOWN");
    const wrong = sha256("something else");
    expect(await code(`y/blobs/uploads/?digest=${wrong}`, { method: "POST", body: "lie" })).toBe("400 DIGEST_INVALID");
    expect(await code("y/blobs/uploads/?digest=sha256:1", { method: "POST", body: "lie" })).toBe("400 DIGEST_INVALID");
    const third = (await ask("y/blobs/uploads/", { method: "POST" })).headers.get("location") as string;
    expect(await code(third, { method: "PUT", body: "x" })).toBe("400 DIGEST_INVALID");
    expect(await code(`${third}?digest=${wrong}`, { method: "PUT", body: "lie" })).toBe("400 DIGEST_INVALID");
    expect(await code(third)).toBe("404 BLOB_UPLOAD_UNKNOWN");
    expect(store.blobs.list()).toHaveLength(2);
    expect(await code("y/blobs/uploads/not-a-session")).toBe("404 BLOB_UPLOAD_UNKNOWN");

    const sessions = await Promise.all(
      Array.from({ length: 260 }, async () => ask("y/blobs/uploads/", { method: "POST" })),
    );
    const busy = sessions.filter(({ status: each }) => each === 429);
    expect(busy).toHaveLength(4);
    expect(busy[0]?.headers.get("retry-after")).toBe("10");
    return undefined;
  }));

rootTest(
  "a pushed image is in the store with its digests; an index brings the image for this machine and keeps the others",
  () =>
    withServed(true, async ({ store, ask, code, put, json, blob, lines }) => {
      putMadeImage(store, "docker.io/library/made:1", [[{ path: "a", content: "one" }]], { config: { Cmd: ["x"] } });
      const s390x = { os: "linux", architecture: "s390x" };
      putMadeImage(store, "docker.io/library/foreign:1", [[{ path: "z", content: "other" }]], { platform: s390x });
      const [made, foreign] = await Promise.all(
        ["made", "foreign"].map((name) => json<Manifest>(`${name}/manifests/1`)),
      );
      if (made === undefined || foreign === undefined) throw new Error("not served");

      // Its layers are those of images that were built here, so that nothing has to come but the manifest.
      const first = await put("team/app", "v1", made);
      expect(first.status).toBe(201);
      const digest = first.headers.get("docker-content-digest") as `sha256:${string}`;
      const record = store.images.byTag("docker.io/team/app:v1");
      expect([record?.id, record?.manifest]).toEqual([made.config.digest, digest]);
      expect(store.images.byRepoDigest("docker.io/team/app", digest)?.id).toBe(made.config.digest);
      expect(store.blobs.has(made.layers[0]?.digest as never)).toBe(true);
      expect(lines).toEqual([`took team/app:v1 ${digest}`]);

      const entries: Index["manifests"] = [];
      for (const [manifest, platform] of [
        [foreign, s390x],
        [made, undefined],
      ] as const) {
        const bytes = Buffer.from(JSON.stringify(manifest));
        const child = sha256(bytes);
        expect((await put("team/app", child, manifest)).status).toBe(201);
        entries.push({
          mediaType: mediaTypes.ociManifest,
          digest: child,
          size: bytes.length,
          platform: platform ?? { os: "linux", architecture: process.arch === "arm64" ? "arm64" : "amd64" },
        });
      }
      const index: Index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: entries };
      const taken = await put("team/app", "all", index);
      expect(taken.status).toBe(201);
      expect(store.images.byTag("docker.io/team/app:all")?.id).toBe(made.config.digest);
      const back = await ask("team/app/manifests/all");
      expect(sha256(await back.bytes())).toBe(taken.headers.get("docker-content-digest") as never);
      expect(back.headers.get("content-type")).toBe(mediaTypes.ociIndex);
      expect((await ask(`team/app/manifests/${entries[0]?.digest}`)).status).toBe(200);

      const missing = { ...made, layers: [{ ...made.layers[0], digest: sha256("nowhere") }] };
      expect((await (await put("team/app", "v2", missing)).json()) as object).toMatchObject({
        errors: [{ code: "MANIFEST_BLOB_UNKNOWN" }],
      });
      const refused = async (manifest: object, type?: string): Promise<unknown> =>
        ((await (await put("team/app", "v2", manifest, type)).json()) as { errors: { code: string }[] }).errors[0]
          ?.code;
      expect(await refused({ ...made, layers: [{ ...made.layers[0], size: 1 }] })).toBe("MANIFEST_INVALID");
      expect(await refused({ ...index, manifests: [{ ...entries[0], digest: sha256("x") }] })).toBe(
        "MANIFEST_BLOB_UNKNOWN",
      );
      expect(await refused(made, mediaTypes.ociIndex)).toBe("MANIFEST_INVALID");
      expect(await refused({ ...made, mediaType: "text/html" })).toBe("MANIFEST_INVALID");
      expect(await refused({ schemaVersion: 1 })).toBe("MANIFEST_INVALID");
      expect(await code("team/app/manifests/v2", { method: "PUT", body: "x".repeat(5_000_000) })).toBe(
        "413 MANIFEST_INVALID",
      );
      const stranger = await blob("team/app", "no tar");
      // The layer of that diffID is in the store: what claims to be a form of it is looked at all the same.
      const lying = { ...made, layers: [{ ...made.layers[0], mediaType: mediaTypes.ociLayer, ...stranger }] };
      expect(await refused(lying)).toBe("MANIFEST_INVALID");
      expect(await refused({ ...made, layers: [...made.layers, ...foreign.layers] })).toBe("MANIFEST_INVALID");

      const artifact = {
        schemaVersion: 2,
        mediaType: mediaTypes.ociManifest,
        artifactType: "application/x.signature",
        config: { mediaType: mediaTypes.ociEmpty, ...(await blob("team/app", "{}")) },
        layers: [{ mediaType: "text/plain", ...(await blob("team/app", "signed")) }],
        subject: { mediaType: mediaTypes.ociManifest, digest, size: 1 },
        annotations: { by: "me" },
      };
      const signed = await put("team/app", "sig", artifact);
      expect(signed.headers.get("oci-subject")).toBe(digest);
      const signature = signed.headers.get("docker-content-digest") as string;
      const found = await json<Index>(`team/app/referrers/${digest}?artifactType=application/x.signature`);
      expect(found.manifests).toEqual([
        {
          mediaType: mediaTypes.ociManifest,
          digest: signature as never,
          size: JSON.stringify(artifact).length,
          artifactType: "application/x.signature",
          annotations: { by: "me" },
        },
      ]);
      expect((await json<Index>(`team/app/referrers/${digest}?artifactType=other`)).manifests).toEqual([]);
      expect((await json<{ tags: string[] }>("team/app/tags/list")).tags).toEqual(["all", "sig", "v1"]);

      expect((await ask("team/app/manifests/v1", { method: "DELETE" })).status).toBe(202);
      expect(await code("team/app/manifests/v1", { method: "DELETE" })).toBe("404 MANIFEST_UNKNOWN");
      expect((await ask(`team/app/manifests/${digest}`)).status).toBe(200);
      expect((await ask(`team/app/manifests/${signature}`, { method: "DELETE" })).status).toBe(202);
      store.images.remove(made.config.digest);
      // With the image that it came with, the index goes, and what it named of other platforms.
      expect(await code("team/app/manifests/all")).toBe("404 MANIFEST_UNKNOWN");
      expect(await code(`team/app/manifests/${entries[0]?.digest}`)).toBe("404 MANIFEST_UNKNOWN");
      return () => {
        const named = [...artifact.layers, ...made.layers, ...entries].map((each) => store.blobs.has(each.digest));
        expect(named).toEqual([false, false, false, false]);
      };
    }),
);
