import { lstatSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { openOutput } from "../../archive/outputFile.ts";
import { verified } from "../../image/verified.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import { isIndex, parseManifest } from "../../oci/parseManifest.ts";
import { parseReference } from "../../oci/reference.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { Engine } from "../Engine.ts";
import { openRegistry, type RegistryAccess } from "./openRegistry.ts";

/** Annotation of a layer: the name of the file that it is. */
export const TITLE = "org.opencontainers.image.title";

/**
 * Writes the files of an artifact into `directory`, by the names that it gives them, each verified and whole or not there. No name leads out of the
 * directory, through a link, or onto what is no regular file.
 * @throws SlipwayError `NO_FILES`, `UNSAFE_NAME`, `INVALID_OUTPUT`, those of `Registry`
 */
export async function pullArtifact(
  engine: Engine,
  reference: string,
  directory: string,
  access: RegistryAccess = {},
): Promise<{ digest: Digest; files: { name: string; size: number }[] }> {
  const { domain, path, tag = "latest", digest: pinned, canonical } = parseReference(reference);
  const registry = openRegistry(engine, domain, access);
  const { bytes, digest } = await registry.manifest(path, pinned ?? tag);
  const manifest = parseManifest(bytes);
  const layers = isIndex(manifest) ? [] : manifest.layers;
  const named = layers.flatMap((blob) => {
    const name = blob.annotations?.[TITLE];
    return name === undefined ? [] : [{ name, blob }];
  });
  if (named.length === 0)
    throw new SlipwayError("NO_FILES", `${canonical} names no files`, {
      hint: "An image comes by `slipway pull`, whatever it is by `slipway image copy`.",
    });
  const places = named.map(({ name, blob }) => ({ name, blob, parts: partsOf(name, canonical) }));
  const root = resolve(directory);
  mkdirSync(root, { recursive: true });
  for (const { name, blob, parts } of places) {
    const place = safePlace(root, parts, name);
    const output = openOutput(engine.store.linux, place);
    try {
      for await (const chunk of verified(await registry.blob(path, blob), blob)) {
        output.write(chunk);
        tell(blob, output.size);
      }
      output.finish();
    } finally {
      output.abort();
    }
    engine.emit({ type: "copy.blob", digest: blob.digest, status: "copied" });
  }
  return { digest, files: places.map(({ name, blob }) => ({ name, size: blob.size })) };

  function tell({ digest: of, size: total }: Descriptor, current: number): void {
    engine.emit({ type: "copy.blob", digest: of, status: "copying", current, total });
  }
}

function partsOf(name: string, from: string): string[] {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (name.startsWith("/") || name.includes("\0") || parts.length === 0 || parts.includes(".."))
    throw new SlipwayError("UNSAFE_NAME", `${from} names a file ${JSON.stringify(name)}, which leads elsewhere`);
  return parts;
}

/** The file's path; the directories on the way are made. */
function safePlace(root: string, parts: readonly string[], name: string): string {
  let at = root;
  for (const [i, part] of parts.entries()) {
    at = join(at, part);
    const found = lstatSync(at, { throwIfNoEntry: false });
    const isLast = i === parts.length - 1;
    if (found === undefined && !isLast) mkdirSync(at);
    if (found !== undefined && !(isLast ? found.isFile() : found.isDirectory()))
      throw new SlipwayError("UNSAFE_NAME", `${name}: ${at} is there, and is no ${isLast ? "file" : "directory"}`);
  }
  return at;
}
