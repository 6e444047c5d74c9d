import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { compressGzip } from "./compressGzip.ts";
import { decompressFile } from "./decompressFile.ts";

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

function compress(bytes: Uint8Array, pieces = 1, parallel = 2, level = 1): Promise<Uint8Array> {
  return new Response(compressGzip(streamOf(bytes, pieces), { parallel, level })).bytes();
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

test("gunzip and our own reader give back what went in, whatever its length", () =>
  withTempDirectory(async (directory) => {
    for (const length of [0, 1, MEMBER - 1, MEMBER, MEMBER + 1, 3 * MEMBER + 77]) {
      const bytes = sample(length);
      const path = join(directory, "x.gz");
      writeFileSync(path, await compress(bytes, 3));
      const theirs = Bun.spawnSync(["gunzip", "-c", path]);
      expect(theirs.stderr.toString()).toBe("");
      expect([length, Buffer.compare(theirs.stdout, bytes)]).toEqual([length, 0]);
      const ours: Uint8Array[] = [];
      await decompressFile({ path }, (chunk) => void ours.push(chunk.slice()));
      expect([length, Buffer.compare(Buffer.concat(ours), bytes)]).toEqual([length, 0]);
    }
  }));

test("the same bytes come out however the input is cut and however many cores there are", async () => {
  const bytes = sample(2 * MEMBER + 500);
  const expected = await compress(bytes, 1, 1);
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 9 }), async (pieces, parallel) => {
      expect(Buffer.compare(await compress(bytes, pieces, parallel), expected)).toBe(0);
    }),
    { numRuns: 15 },
  );
});

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
  const output = compressGzip(input, { parallel: 2 }).getReader();
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
  await expect(new Response(compressGzip(input)).bytes()).rejects.toThrow("the disk is gone");
});
