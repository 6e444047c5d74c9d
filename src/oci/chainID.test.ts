import { expect, test } from "bun:test";
import { chainID } from "./chainID.ts";
import { sha256 } from "./digest.ts";

test("a chain is its lowest layer, then the digest of chain and next layer", () => {
  const [a, b, c] = [sha256("a"), sha256("b"), sha256("c")];
  expect(chainID([])).toBeUndefined();
  expect(chainID([a])).toBe(a);
  expect(chainID([a, b, c])).toBe(sha256(`${sha256(`${a} ${b}`)} ${c}`));
  expect(chainID([b, a])).not.toBe(chainID([a, b]));
});
