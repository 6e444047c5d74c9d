import { expect, test } from "bun:test";
import { createZstdFrames } from "./zstdFrames.ts";

test("a frame of a context that has made others is the one that a fresh context makes, at every level and length", () => {
  const words = Array.from({ length: 300_000 }, (_, i) => `${(i * 7919) % 4099} `).join("");
  const text = new TextEncoder().encode(words);
  const noise = new Uint8Array(20 * 65_536);
  for (let at = 0; at + 65_536 <= noise.length; at += 65_536) crypto.getRandomValues(noise.subarray(at, at + 65_536));
  const out = new Uint8Array(3_000_000);
  for (const level of [1, 3, 9]) {
    const frame = createZstdFrames(level);
    for (const bytes of [text, noise, text.subarray(0, 70_000), new Uint8Array(0), noise.subarray(0, 1), text]) {
      const fresh = Bun.zstdCompressSync(bytes, { level });
      const made = out.subarray(0, frame(bytes, out));
      expect([level, bytes.length, Buffer.compare(fresh, made)]).toEqual([level, bytes.length, 0]);
    }
  }
});
