import { expect, test } from "bun:test";
import { verificationText } from "./verificationText.ts";

test("a verification says in one line that a build is the same, and else which paths of which layer differ", () => {
  expect(verificationText({ times: true, differences: [] })).toBe("The second build came out the same.\n");
  expect(verificationText({ times: false, differences: [] })).toStartWith(
    "The second build came out the same, times aside",
  );
  const paths = [{ path: "/id", what: ["bytes from 3 on", "mode 644 → 600"] }];
  expect(verificationText({ times: true, differences: [{ where: "RUN date", paths, more: true }] })).toBe(
    "The second build came out different:\n  RUN date\n    /id: bytes from 3 on, mode 644 → 600\n    …\n",
  );
});
