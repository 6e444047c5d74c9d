import { describe, expect, test } from "bun:test";
import { conformance } from "../../test/support/conformance.ts";
import { familiarName, parseReference } from "./reference.ts";

const data = conformance("references");

describe.skipIf(data === undefined)(
  "distribution/reference's tables (skipped where ../shared/conformance is absent)",
  () => {
    test("names complete themselves as Docker completes them", () => {
      for (const row of data.dockerRef)
        expect([row.id, parseReference(row.input).canonical]).toEqual([row.id, row.expected]);
    });

    test("valid names are taken and invalid ones refused", () => {
      for (const row of data.normalizedName) {
        let valid = true;
        try {
          parseReference(row.input);
        } catch {
          valid = false;
        }
        expect([row.id, row.input, valid]).toEqual([row.id, row.input, row.valid]);
      }
    });

    test("every spelling of a repository has one host, path and short form", () => {
      for (const row of data.repositoryInfo) {
        for (const input of row.inputs) {
          const { domain, path } = parseReference(input);
          expect([row.id, domain, path]).toEqual([row.id, row.domain, row.path]);
          expect(familiarName(`${domain}/${path}`)).toBe(row.familiarName);
        }
      }
    });
  },
);

test("a short form keeps its tag", () => {
  expect(familiarName("docker.io/library/alpine:latest")).toBe("alpine:latest");
});
