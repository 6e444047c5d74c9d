import { csvFields } from "../../../dockerfile/csvFields.ts";
import { nearest } from "../../../dockerfile/nearest.ts";
import { parseBool } from "../../../dockerfile/parseBool.ts";
import { parseCompression } from "../../../layer/compressLayer.ts";
import { parseReference } from "../../../oci/reference.ts";
import { SlipwayError } from "../../../oci/SlipwayError.ts";
import type { CacheExport, CacheImport } from "./CacheSpec.ts";

const ELSEWHERE = ["gha", "s3", "azblob"];

/**
 * Reads `--cache-from`: `type=T,key=value…`, or a reference alone, which is a registry's.
 * @throws SlipwayError `INVALID_CACHE_OPTION`
 */
export function parseCacheFrom(text: string): CacheImport {
  const { type, keys, need, fail } = read("--cache-from", text, {
    local: ["src", "tag", "digest"],
    registry: ["ref"],
  });
  switch (type) {
    case "local": {
      const digest = keys.get("digest");
      return {
        type,
        src: need("src"),
        tag: keys.get("tag") ?? "latest",
        ...(digest === undefined ? {} : { digest }),
      };
    }
    case "registry":
      return { type, ref: reference(need("ref")) };
    default:
      return fail(
        "an inline cache is read by the name of its image",
        "For example --cache-from registry.example/app:latest",
      );
  }
}

/**
 * Reads `--cache-to`.
 * @throws SlipwayError `INVALID_CACHE_OPTION`
 */
export function parseCacheTo(text: string): CacheExport {
  const common = ["mode", "ignore-error"];
  const compression = ["compression", "compression-level", "force-compression", "oci-mediatypes", "image-manifest"];
  const { type, keys, need, fail } = read("--cache-to", text, {
    inline: common,
    local: [...common, ...compression, "mounts", "dest", "tag"],
    registry: [...common, ...compression, "mounts", "ref"],
  });
  const mode = keys.get("mode") ?? "min";
  if (mode !== "min" && mode !== "max") return fail(`mode=${mode} is not known`, "It is min or max.");
  const bool = (key: string, fallback: boolean): boolean => {
    const said = keys.get(key);
    return said === undefined ? fallback : (parseBool(said) ?? fail(`${key}=${said} is not a boolean`));
  };
  const ignoreError = bool("ignore-error", false);
  // A cache is an artifact of the OCI: a manifest, as BuildKit writes one where it is told to.
  for (const key of ["oci-mediatypes", "image-manifest"])
    if (!bool(key, true)) return fail(`${key}=false: a cache is an OCI artifact`);
  const format = keys.get("compression");
  const level = keys.get("compression-level");
  const form = {
    ...(format === undefined && level === undefined ? {} : { compression: parseCompression(format ?? "gzip", level) }),
    ...(bool("force-compression", false) ? { force: true } : {}),
  };
  const mounts = (keys.get("mounts") ?? "").split(",").filter((id) => id !== "");
  switch (type) {
    case "inline":
      if (mode === "max")
        return fail("an inline cache is of the image's own layers", "mode=max needs type=local or type=registry.");
      return { type, mode, ignoreError, form };
    case "local":
      return { type, mode, ignoreError, form, dest: need("dest"), tag: keys.get("tag") ?? "latest", mounts };
    default:
      return { type: "registry", mode, ignoreError, form, ref: reference(need("ref")), mounts };
  }
}

/** Canonical, with a tag. */
function reference(text: string): string {
  return parseReference(text).canonical;
}

function read(flag: string, text: string, known: Record<string, string[]>) {
  const fail = (why: string, hint?: string): never => {
    throw new SlipwayError("INVALID_CACHE_OPTION", `${flag} ${text}: ${why}`, hint === undefined ? {} : { hint });
  };
  const fields = csvFields(text);
  const keys = new Map<string, string>();
  // buildx: a list without any `=` is one of references.
  if (fields.length === 1 && !text.includes("=")) keys.set("type", "registry").set("ref", text);
  else
    for (const field of fields) {
      const equals = field.indexOf("=");
      if (equals < 0) fail(`${JSON.stringify(field)} is no key=value`);
      const key = field.slice(0, equals).trim().toLowerCase();
      const earlier = key === "mounts" ? keys.get(key) : undefined; // several: said several times
      keys.set(key, `${earlier === undefined ? "" : `${earlier},`}${field.slice(equals + 1)}`);
    }
  const type =
    keys.get("type") ??
    fail("type is required", `For example ${flag} type=local,${flag === "--cache-to" ? "dest" : "src"}=cache`);
  if (ELSEWHERE.includes(type))
    fail(`type=${type} is a service's own interface`, "A registry serves everywhere: type=registry,ref=NAME.");
  const mine =
    known[type] ??
    (type === "inline"
      ? []
      : fail(`there is no type ${JSON.stringify(type)}`, `There are ${Object.keys(known).join(", ")}.`));
  for (const key of keys.keys()) {
    if (key === "type" || mine.includes(key)) continue;
    const near = nearest(key, mine);
    fail(`${type} knows no ${JSON.stringify(key)}`, near === undefined ? undefined : `Did you mean ${near}?`);
  }
  const need = (key: string): string => {
    const value = keys.get(key) ?? "";
    return value === "" ? fail(`${key} is required`) : value;
  };
  return { type, keys, need, fail };
}
