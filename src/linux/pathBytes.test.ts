import { expect, test } from "bun:test";
import fc from "fast-check";
import { decodePath, encodePath, encodePathInto } from "./pathBytes.ts";

/** Any bytes, with pieces of UTF-8 and broken pieces of it among them. */
const bytes = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 6 }),
      fc.string({ unit: "binary", maxLength: 6 }).map((text) => new TextEncoder().encode(text)),
      fc.constantFrom(
        Uint8Array.of(0xf0, 0x9f, 0xa6),
        Uint8Array.of(0xed, 0xb3, 0xbf), // U+DCFF itself, which is no valid UTF-8
        Uint8Array.of(0xc0, 0x80),
      ),
    ),
    { maxLength: 8 },
  )
  .map((parts) => Uint8Array.from(parts.flatMap((part) => [...part])));

test("every name survives being a string", () => {
  fc.assert(
    fc.property(bytes, (name) => {
      expect([...encodePath(decodePath(name))]).toEqual([...name]);
    }),
    { numRuns: 2000 },
  );
});

test("a name of any length is read, and does not overflow the stack", () => {
  expect(decodePath(new Uint8Array(8_000_000).fill(65))).toBe("A".repeat(8_000_000));
});

test("names that differ are strings that differ", () => {
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      expect(decodePath(a) === decodePath(b)).toBe(Buffer.compare(a, b) === 0);
    }),
  );
});

test("valid UTF-8 is itself", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      expect(decodePath(new TextEncoder().encode(text))).toBe(text);
    }),
  );
});

test("a path is written with its NUL where it fits, and not at all where it does not", () => {
  fc.assert(
    fc.property(bytes, fc.nat(60), (name, room) => {
      const into = new Uint8Array(room).fill(1);
      const length = encodePathInto(decodePath(name), into);
      if (name.length + 1 > room) {
        expect(length).toBe(-1);
        return;
      }
      expect([...into.subarray(0, length + 1)]).toEqual([...name, 0]);
    }),
    { numRuns: 1000 },
  );
});

test("a byte order mark is part of a name", () => {
  const name = Uint8Array.of(0xef, 0xbb, 0xbf, 0x61);
  expect([...encodePath(decodePath(name))]).toEqual([...name]);
});
