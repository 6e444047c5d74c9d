import { expect, test } from "bun:test";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { parseChmod } from "./chmod.ts";

test.each([
  ["755", 0o600, false, 0o755],
  ["04711", 0o600, false, 0o4711],
  ["0", 0o777, true, 0],
  ["u=rwX,go=rX", 0o600, false, 0o644],
  ["u=rwX,go=rX", 0o600, true, 0o755],
  ["u=rwX,go=rX", 0o610, false, 0o755],
  ["go=u", 0o750, false, 0o777],
  ["g=u-w", 0o760, false, 0o750],
  ["+x", 0o644, false, 0o755],
  ["a-w", 0o666, false, 0o444],
  ["u+s,g+s", 0o755, false, 0o6755],
  ["u=rwx", 0o4755, false, 0o755],
  ["+t", 0o777, true, 0o1777],
  ["o-t", 0o1777, true, 0o777],
  ["u+x,u-x+w", 0o400, false, 0o600],
  ["=", 0o6755, false, 0],
  ["-x,+X", 0o755, false, 0o755],
])("%s makes %o (directory: %p) %o", (text, mode, directory, expected) => {
  expect(parseChmod(text)(mode as number, directory as boolean)).toBe(expected as number);
});

test.each(["9", "10000", "", "u", "rwx", "u=rwq", "u+r,", "x+u", "0x1", "-1"])("%j is refused", (text) => {
  expect(() => parseChmod(text)).toThrow(SlipwayError);
});
