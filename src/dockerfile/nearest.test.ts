import { expect, test } from "bun:test";
import fc from "fast-check";
import { nearest } from "./nearest.ts";

test("the first of the nearest options is meant, two letters away at most", () => {
  expect(nearest("VERSOIN", ["OTHER", "VERSION", "VERSIONS"])).toBe("VERSION");
  expect(nearest("abcd", ["wxyz", "abyz", "abcz"])).toBe("abcz");
  expect(nearest("abc", ["xyz"])).toBeUndefined();
  expect(nearest("run", ["RUN"], "fold")).toBeUndefined();
  expect(
    nearest(
      "x",
      Array.from({ length: 1001 }, (_, i) => `name${i}`),
    ),
  ).toBeUndefined();
});

test("a slip of one letter is found, whatever the word", () => {
  const letters = fc.string({ unit: fc.constantFrom(..."abcé_1"), minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(letters, fc.nat(), fc.constantFrom("z", ""), (word, place, letter) => {
      const at = place % word.length;
      const slip = word.slice(0, at) + letter + word.slice(at + 1);
      expect(nearest(slip, ["far away from all of them", word])).toBe(word);
    }),
  );
});
