import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { streamOf as asStream, type Compression, compressLayer } from "./compressLayer.ts";
import { decompressFile } from "./decompressFile.ts";
import { decompressStream } from "./decompressStream.ts";

function streamOf(bytes: Uint8Array, pieces: number): ReadableStream<Uint8Array> {
  const length = Math.max(1, Math.ceil(bytes.length / pieces));
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.subarray(at, at + length));
      at += length;
    },
  });
}

const formats: Compression["format"][] = ["gzip", "zstd"];

function compress(
  bytes: Uint8Array,
  { format = "gzip" as Compression["format"], pieces = 1, parallel = 2, level = 1 } = {},
): Promise<Uint8Array> {
  return new Response(asStream(compressLayer(streamOf(bytes, pieces), { format, level }, { parallel }))).bytes();
}

/** Bytes that compress about as a layer's do. */
function sample(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = 1;
  for (let i = 0; i < length; i++) {
    state = (state * 1103515245 + 12345) & 0x7fffffff;
    bytes[i] = (state >> 16) & (i % 3 === 0 ? 0xff : 0x0f);
  }
  return bytes;
}

const MEMBER = 1024 * 1024;

test(
  "gunzip, zstd and our own readers give back what went in, whatever its length and kind",
  () =>
    withTempDirectory(async (directory) => {
      const random = crypto.getRandomValues(Buffer.alloc(65_536));
      const lengths = [0, 1, MEMBER - 1, MEMBER, MEMBER + 1, 4 * MEMBER, 9 * MEMBER + 77];
      const inputs = [...lengths.map(sample), Buffer.concat(Array.from({ length: 33 }, () => random))];
      for (const format of formats) {
        for (const bytes of inputs) {
          const path = join(directory, "x");
          const packed = await compress(bytes, { format, pieces: 3 });
          writeFileSync(path, packed);
          const theirs = Bun.spawnSync(format === "gzip" ? ["gunzip", "-c"] : ["zstd", "-dc"], {
            stdin: Bun.file(path),
          });
          expect(theirs.stderr.toString()).toBe("");
          expect([format, bytes.length, Buffer.compare(theirs.stdout, bytes)]).toEqual([format, bytes.length, 0]);
          const ours: Uint8Array[] = [];
          await decompressFile({ path }, (chunk) => void ours.push(chunk.slice()));
          expect([format, bytes.length, Buffer.compare(Buffer.concat(ours), bytes)]).toEqual([format, bytes.length, 0]);
          const streamed = await new Response(decompressStream(streamOf(packed, 7))).bytes();
          expect([format, bytes.length, Buffer.compare(streamed, bytes)]).toEqual([format, bytes.length, 0]);
        }
      }
    }),
  20_000,
);

test("what cannot be compressed becomes hardly longer, and a level of gzip from 0 to 9 does what it says", async () => {
  const random = Buffer.concat(Array.from({ length: 32 }, () => crypto.getRandomValues(Buffer.alloc(65_536))));
  for (const format of formats) expect((await compress(random, { format })).length).toBeLessThan(random.length * 1.001);
  const text = sample(MEMBER);
  const sizes = await Promise.all([0, 1, 9].map(async (level) => (await compress(text, { level })).length));
  expect(sizes).toEqual(sizes.toSorted((a, b) => b - a));
  expect(sizes[0]).toBeGreaterThan(MEMBER);
});

test("the same bytes come out however the input is cut and however many cores there are", async () => {
  for (const format of formats) {
    const bytes = sample(5 * MEMBER + 500);
    const expected = await compress(bytes, { format, parallel: 1 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 4 }), async (pieces, parallel) => {
        expect(Buffer.compare(await compress(bytes, { format, pieces, parallel }), expected)).toBe(0);
      }),
      { numRuns: 3 },
    );
  }
}, 20_000);

test("no more is read than a few members ahead of the reader, and giving up ends the input", async () => {
  let read = 0;
  let cancelled = false;
  const input = new ReadableStream<Uint8Array>({
    pull(controller) {
      read++;
      controller.enqueue(new Uint8Array(MEMBER));
    },
    cancel() {
      cancelled = true;
    },
  });
  const output = asStream(compressLayer(input, { format: "gzip" }, { parallel: 2 })).getReader();
  await output.read();
  await Bun.sleep(50);
  expect(read).toBeLessThan(10);
  await output.cancel();
  expect(cancelled).toBe(true);
});

test("an input that fails makes the output fail", async () => {
  const input = new ReadableStream<Uint8Array>({
    pull(controller) {
      controller.error(new Error("the disk is gone"));
    },
  });
  await expect(new Response(asStream(compressLayer(input, { format: "gzip" }))).bytes()).rejects.toThrow(
    "the disk is gone",
  );
});
