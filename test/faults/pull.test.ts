import { expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { writeTar } from "../../scripts/lib/writeTar.mjs";
import { type Answer, withServer } from "../support/scriptedServer.ts";
import { withEngine } from "../support/withEngine.ts";
import { sha256 } from "../../src/oci/digest.ts";
import type { Engine } from "../../src/engine/Engine.ts";
import { pull } from "../../src/engine/images/pull.ts";

const patience = { stall: 5000, finish: 5000, firstWait: 1, tries: 3 };

/** The answers of a registry that has one image of these layers; `more`: parts of the layers' descriptors. */
function image(tars: Uint8Array[], more: Record<string, unknown>[] = []) {
  const blobs = tars.map((tar) => Buffer.from(gzipSync(tar)));
  const config = Buffer.from(
    JSON.stringify({
      os: "linux",
      architecture: "amd64",
      rootfs: { type: "layers", diff_ids: tars.map((tar) => sha256(tar)) },
    }),
  );
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: sha256(config), size: config.length },
    layers: blobs.map((bytes, i) => ({
      mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
      digest: sha256(bytes),
      size: bytes.length,
      ...more[i],
    })),
  });
  const place = (bytes: Uint8Array): string => `/v2/a/blobs/${sha256(bytes)}`;
  const answers: Record<string, Answer> = { "/v2/a/manifests/latest": () => new Response(manifest) };
  for (const bytes of [...blobs, config]) answers[place(bytes)] = () => new Response(bytes as Uint8Array<ArrayBuffer>);
  return { answers, blobs, config, place };
}

const tar = (name: string): Uint8Array => writeTar([{ path: name, content: name.repeat(5000) }]);

test("a blob that was damaged on the way is fetched again, and from a mirror that damages all at last from the host", () => {
  const { answers, blobs, place } = image([tar("x")]);
  const [blob] = blobs as [Buffer];
  const damaged = Buffer.from(blob);
  damaged[damaged.length - 20] = (damaged[damaged.length - 20] as number) ^ 1;
  const bad: Answer = () => new Response(damaged);
  return withServer({ ...answers, [place(blob)]: bad }, (mirror) =>
    withServer(answers, (server) =>
      withEngine(async ({ engine }) => {
        const config = { ...engine.config, patience, registries: { [server.host]: { mirrors: [mirror.url] } } };
        await pull({ ...engine, config }, `${server.host}/a`);
        expect(mirror.asked.filter(({ url }) => url.endsWith(place(blob)))).toHaveLength(2);
        expect(server.asked.map(({ url }) => new URL(url).pathname)).toEqual([place(blob)]);
      }),
    ),
  );
});

test("one layer that fails ends the transfers of the others at once, and nothing is recorded", () => {
  const { answers, blobs, place } = image([tar("x"), tar("y"), tar("z")]);
  const [first, second] = blobs as [Buffer, Buffer];
  let cancelled = 0;
  const endless: Answer = () =>
    new Response(
      new ReadableStream({
        async pull(controller) {
          controller.enqueue(second.subarray(0, 1));
          await new Promise(() => {});
        },
        cancel: () => void cancelled++,
      }),
    );
  const gone: Answer = async () => {
    await Bun.sleep(50);
    return new Response("{}", { status: 404 });
  };
  return withServer({ ...answers, [place(first)]: gone, [place(second)]: endless }, (server) =>
    withEngine(async ({ engine }) => {
      const start = performance.now();
      await expect(
        pull({ ...engine, config: { ...engine.config, patience } }, `${server.host}/a`),
      ).rejects.toMatchObject({ message: expect.stringContaining(sha256(first)) });
      expect(performance.now() - start).toBeLessThan(3000);
      expect(engine.store.images.list()).toEqual([]);
      await Bun.sleep(50);
      expect(cancelled).toBe(1);
    }),
  );
});

test("a layer that lies elsewhere is fetched from there only where that is allowed, and verified; no credentials go there", () =>
  withServer({}, (elsewhere) => {
    const url = `${elsewhere.url}/layer.tgz`;
    const { answers, blobs, place } = image([tar("x")], [{ urls: [url] }]);
    const [blob] = blobs as [Buffer];
    let content: Uint8Array = blob;
    return withServer({ "/layer.tgz": () => new Response(content as Uint8Array<ArrayBuffer>) }, (other) => {
      const moved = image([tar("x")], [{ urls: [`${other.url}/layer.tgz`] }]);
      return withServer(
        { ...answers, ...moved.answers, [place(blob)]: () => new Response("{}", { status: 404 }) },
        (server) =>
          withEngine(async ({ engine }) => {
            const name = `${server.host}/a`;
            const own = (foreignLayers: boolean): Engine => ({
              ...engine,
              config: { ...engine.config, patience, registries: { [server.host]: { foreignLayers } } },
            });
            await expect(pull(own(false), name)).rejects.toMatchObject({
              code: "FOREIGN_LAYER",
              hint: expect.stringContaining("foreignLayers"),
            });
            expect(other.asked).toEqual([]);
            content = Buffer.from("something else");
            await expect(pull(own(true), name)).rejects.toMatchObject({ code: "SIZE_MISMATCH" });
            content = blob;
            await pull(own(true), name);
            expect(other.asked.some(({ headers }) => headers.has("authorization"))).toBe(false);
          }),
      );
    });
  }));

test("a manifest that is not as long as its index says is not taken", () => {
  const { answers } = image([tar("x")]);
  const inner = (answers["/v2/a/manifests/latest"] as Answer)(new Request("http://x"), 0) as Response;
  return inner.text().then((text) => {
    const digest = sha256(text);
    const index = JSON.stringify({
      schemaVersion: 2,
      manifests: [
        {
          mediaType: "application/vnd.oci.image.manifest.v1+json",
          digest,
          size: text.length + 1,
          platform: { os: "linux", architecture: process.arch === "arm64" ? "arm64" : "amd64" },
        },
      ],
    });
    const both = {
      ...answers,
      "/v2/a/manifests/latest": () => new Response(index),
      [`/v2/a/manifests/${digest}`]: () => new Response(text),
    };
    return withServer(both, (server) =>
      withEngine(async ({ engine }) => {
        await expect(pull(engine, `${server.host}/a`)).rejects.toMatchObject({ code: "SIZE_MISMATCH" });
      }),
    );
  });
});
