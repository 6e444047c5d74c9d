import Ajv from "ajv";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { conformance } from "./conformance.ts";

/** What was looked at, by kind, and what does not hold. */
export interface SchemaFaults {
  checked: Record<"layout" | "index" | "manifest" | "config", number>;
  faults: unknown[];
}

/**
 * What the image-spec's own schemas find wrong with the documents in a folder: all of an OCI layout, or of a registry's data. Docker's documents are read
 * in the specification's media types. Undefined where the schemas are not there.
 */
export function schemaFaults(folder: string): SchemaFaults | undefined {
  const files = conformance("oci-schema-files")?.schemas as Record<string, object> | undefined;
  const types = conformance("oci-schema")?.mediaTypeMap as Record<string, string> | undefined;
  if (files === undefined || types === undefined) return undefined;
  const ajv = new Ajv({ strict: false, validateFormats: false });
  // They are of draft 4, in which "id" was the name: here a file's name is.
  for (const [name, schema] of Object.entries(files)) {
    const named = JSON.parse(JSON.stringify(schema), (key, value) =>
      (key === "id" || key === "$schema") && typeof value === "string" ? undefined : value,
    );
    ajv.addSchema({ ...named, $id: `https://schema.example/${name}` });
  }
  const found: SchemaFaults = { checked: { layout: 0, index: 0, manifest: 0, config: 0 }, faults: [] };
  const schemas = {
    layout: "image-layout-schema",
    index: "image-index-schema",
    manifest: "image-manifest-schema",
    config: "config-schema",
  };
  for (const path of walk(folder)) {
    let text = document(path);
    for (const [docker, oci] of Object.entries(types)) text = text?.replaceAll(docker, oci);
    const value = text === undefined ? undefined : parsed(text);
    const kind = kindOf(value);
    if (kind === undefined) continue;
    found.checked[kind]++;
    const validate = ajv.getSchema(`https://schema.example/${schemas[kind]}.json`);
    if (validate?.(value) !== true) found.faults.push([kind, validate?.errors, text]);
  }
  return found;
}

/** By what each kind of document must have. */
function kindOf(value: unknown): keyof SchemaFaults["checked"] | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if ("imageLayoutVersion" in value) return "layout";
  if ("manifests" in value) return "index";
  if ("layers" in value && "config" in value) return "manifest";
  return "rootfs" in value ? "config" : undefined;
}

function* walk(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* walk(path);
    else if (entry.isFile()) yield path;
  }
}

/** The text of a small file that may be one. */
function document(path: string): string | undefined {
  const { size } = statSync(path);
  if (size === 0 || size > 4 * 1024 * 1024) return undefined;
  const bytes = readFileSync(path);
  return bytes[0] === 0x7b ? bytes.toString("utf8") : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
