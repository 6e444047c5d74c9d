import { describe, expect, test } from "bun:test";
import { conformance } from "../../test/support/conformance.ts";
import { chainID } from "./chainID.ts";
import { mediaTypes } from "./descriptor.ts";
import { type Digest, sha256 } from "./digest.ts";
import { descriptorFault } from "./faults.ts";
import type { Index } from "./manifest.ts";
import { parseConfig, parseLayout } from "./parseConfig.ts";
import { parseManifest } from "./parseManifest.ts";
import { SlipwayError } from "./SlipwayError.ts";

const data = conformance("oci-schema");

interface Row {
  id: string;
  kind: string;
  document: string;
  digest?: string;
  valid: boolean;
}

/** Rows where slipway says otherwise; docs/differences.md says why. */
const different = ["documents-e7282473", "documents-aee2650d", "documents-4d6df276"];

const readers: Record<string, (document: string) => unknown> = {
  descriptor: (document) => {
    const fault = descriptorFault(JSON.parse(document));
    if (fault !== undefined) throw new SlipwayError("INVALID_MANIFEST", fault);
  },
  index: (document) => parseManifest(Buffer.from(document)),
  manifest: (document) => parseManifest(Buffer.from(document)),
  config: (document) => parseConfig(Buffer.from(document), "x"),
  layout: (document) => parseLayout(Buffer.from(document)),
};

/** Why the document is refused; undefined when it is taken. */
function refusal({ kind, document }: Row): string | undefined {
  try {
    readers[kind]?.(document);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(SlipwayError);
    return (error as SlipwayError).message;
  }
}

describe.skipIf(data === undefined)("image-spec's tables (skipped where ../shared/conformance is absent)", () => {
  test("what the specification calls valid is taken, and nothing else", () => {
    for (const row of [...data.documents, ...data.specExamples] as Row[]) {
      const why = refusal(row);
      expect([row.id, row.document, why, why === undefined]).toEqual([
        row.id,
        row.document,
        why,
        row.valid !== different.includes(row.id),
      ]);
    }
  });

  test("Docker's own documents are taken as they are, and in the specification's media types", () => {
    for (const row of data.backwardsCompatible as Row[]) {
      expect([row.id, sha256(row.document) as string]).toEqual([row.id, row.digest as string]);
      let document = row.document;
      for (const [docker, oci] of Object.entries<string>(data.mediaTypeMap))
        document = document.replaceAll(docker, oci);
      for (const each of [row, { ...row, document }]) {
        const why = refusal(each);
        expect([row.id, why, why === undefined]).toEqual([row.id, why, row.valid]);
      }
    }
  });

  test("a chain of layers has an ID at each height", () => {
    for (const { id, diffIds, chainIds, chainId } of data.chainId) {
      const layers: Digest[] = diffIds ?? [];
      expect([id, layers.map((_, i) => chainID(layers.slice(0, i + 1)) as string)]).toEqual([id, chainIds ?? []]);
      expect([id, chainID(layers)]).toEqual([id, chainId]);
    }
  });
});

test("entries of an index that cannot be verified are passed over, and the rest can be used", () => {
  const good = { mediaType: mediaTypes.ociManifest, digest: sha256("a"), size: 1 };
  const other = { ...good, digest: `sha512:${"a".repeat(128)}` };
  const index = { schemaVersion: 2, manifests: [other, good], annotations: null };
  expect((parseManifest(Buffer.from(JSON.stringify(index))) as Index).manifests).toEqual([good]);
});

test("the error names the place", () => {
  const layer = { mediaType: mediaTypes.ociLayer, digest: sha256("a"), size: -1 };
  const read = (value: unknown) => () => parseManifest(Buffer.from(JSON.stringify(value)));
  expect(read({ schemaVersion: 2, config: { ...layer, size: 1 }, layers: [layer] })).toThrow(
    "the manifest is not valid: .layers[0].size is -1, not a size",
  );
  expect(read({ schemaVersion: 1 })).toThrow(".schemaVersion is 1; only 2 is known");
  expect(read({ schemaVersion: 2, manifests: [], layers: [] })).toThrow("it is an index and a manifest at once");
  expect(read({ schemaVersion: 2, config: { ...layer, digest: `sha512:${"a".repeat(128)}`, size: 1 } })).toThrow(
    "is of an algorithm that is not known",
  );
});

test("an image without layers is one, whether it says so by an empty list or by null", () => {
  const config = { mediaType: mediaTypes.ociConfig, digest: sha256("a"), size: 1 };
  for (const layers of [[], null, undefined])
    expect(parseManifest(Buffer.from(JSON.stringify({ schemaVersion: 2, config, layers })))).toMatchObject({
      layers: [],
    });
});
