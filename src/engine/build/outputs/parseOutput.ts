import { csvFields } from "../../../dockerfile/csvFields.ts";
import { nearest } from "../../../dockerfile/nearest.ts";
import { parseBool } from "../../../dockerfile/parseBool.ts";
import { type Compression, parseCompression } from "../../../layer/compressLayer.ts";
import { parseReference } from "../../../oci/reference.ts";
import { SlipwayError } from "../../../oci/SlipwayError.ts";
import { addAnnotation, isUnannotated, noAnnotations } from "./annotations.ts";
import type { Annotations, ImageForm, OutputSpec } from "./OutputSpec.ts";

export interface ParseOutputOptions {
  /** Canonical names of `-t`: an output's own `name` goes before them. */
  tags: string[];
  /** Of `--annotation`. */
  annotations?: Annotations;
}

const imageKeys = ["name", "compression", "compression-level", "force-compression", "oci-mediatypes"];
const known: Record<string, string[]> = {
  image: [...imageKeys, "push", "push-by-digest", "registry.insecure", "store"],
  oci: [...imageKeys, "tar"],
  docker: [...imageKeys, "tar"],
  local: ["mode", "platform-split"],
  tar: ["platform-split"],
  cacheonly: [],
};
/** Keys of BuildKit that say what slipway does anyway, or does not know of. */
const ignored = ["unpack", "buildinfo", "dangling-name-prefix", "name-canonical", "danglingnameprefix"];

/**
 * Reads one `-o`: `type=T,key=value…` as comma-separated values, or a directory alone (`local`), or `-` alone (`tar` on standard output).
 * @throws SlipwayError `INVALID_OUTPUT`
 */
export function parseOutput(text: string, options: ParseOutputOptions): OutputSpec {
  const fail = (why: string, hint?: string): never => {
    throw new SlipwayError("INVALID_OUTPUT", `--output ${text}: ${why}`, hint === undefined ? {} : { hint });
  };
  const keys = readKeys(text, fail);
  const type = keys.get("type") ?? fail("type is required", "For example -o type=oci,dest=image.tar");
  const dest = keys.get("dest") ?? "";
  const mine = known[type === "registry" ? "image" : type];
  if (mine === undefined)
    fail(`there is no type ${JSON.stringify(type)}`, `There are ${Object.keys(known).join(", ")} and registry.`);
  const annotations = structuredClone(options.annotations ?? noAnnotations());
  for (const [key, value] of keys) {
    if (key === "type" || key === "dest" || key === "push" || ignored.includes(key)) continue;
    if (key.startsWith("annotation") && mine?.includes("name")) {
      addAnnotation(annotations, key.slice("annotation".length), value, fail);
      continue;
    }
    if (mine?.includes(key)) continue;
    if (key === "rewrite-timestamp") {
      fail("rewrite-timestamp is not needed", "SOURCE_DATE_EPOCH clamps times when layers are first written.");
    }
    const near = nearest(key, mine ?? []);
    fail(`${type} knows no ${JSON.stringify(key)}`, near === undefined ? undefined : `Did you mean ${near}?`);
  }
  const bool = (key: string, fallback: boolean): boolean => {
    const value = keys.get(key);
    return value === undefined ? fallback : (parseBool(value) ?? fail(`${key}=${value} is not a boolean`));
  };
  const split = keys.has("platform-split") ? { platformSplit: bool("platform-split", true) } : {};
  switch (type) {
    case "cacheonly":
      return { type };
    case "local": {
      if (dest === "") fail("dest is required for local exporter", "For example -o type=local,dest=out");
      if (dest === "-") fail("dest cannot be stdout for local exporter", "-o type=tar writes there.");
      const mode = keys.get("mode") ?? "copy";
      if (mode !== "copy" && mode !== "delete") return fail(`mode=${mode} is not known: it is copy or delete`);
      return { type, dest, mode, ...split };
    }
    case "tar":
      return { type, dest: dest === "" ? "-" : dest, ...split };
  }
  const names = (keys.get("name") ?? "").split(",").filter((name) => name !== "");
  const form = readForm(type, keys, { annotations, bool, fail });
  const all = [...new Set([...names.map((name) => parseReference(name).canonical), ...options.tags])];
  if (type === "image" || type === "registry") {
    const byDigest = bool("push-by-digest", false);
    const pushes = bool("push", type === "registry" || byDigest);
    const store = bool("store", true) ? (type === "registry" ? "whole" : "always") : "never";
    if (pushes && all.length === 0)
      fail("tag is needed when pushing to registry", "Name the image by -t, or by name=.");
    const push = pushes ? { push: { byDigest, insecure: bool("registry.insecure", false) } } : {};
    return { type: "image", names: all, form, ...push, store };
  }
  const tar = bool("tar", true);
  if (type === "docker") {
    if (dest === "" && !tar) fail("dest is required with tar=false");
    return { type, names: all, form, tar, ...(dest === "" ? {} : { dest }) };
  }
  if (dest === "" && !tar) fail("dest is required for oci exporter with tar=false");
  if (dest === "-" && !tar) fail("dest cannot be stdout for oci exporter with tar=false");
  return { type: "oci", names: all, form, tar, dest: dest === "" ? "-" : dest };
}

type Fail = (why: string, hint?: string) => never;

function readKeys(text: string, fail: Fail): Map<string, string> {
  let fields: string[];
  try {
    fields = csvFields(text);
  } catch (error) {
    return fail((error as Error).message);
  }
  const [first = ""] = fields;
  if (fields.length === 1 && first === text && !text.startsWith("type=")) {
    if (text === "") fail("it is empty");
    return new Map(
      text === "-"
        ? [["type", "tar"]]
        : [
            ["type", "local"],
            ["dest", text],
          ],
    );
  }
  const keys = new Map<string, string>();
  for (const field of fields) {
    const equals = field.indexOf("=");
    if (equals < 0) fail(`${JSON.stringify(field)} is no key=value`);
    const key = field.slice(0, equals).trim();
    keys.set(key.startsWith("annotation") ? key : key.toLowerCase(), field.slice(equals + 1));
  }
  return keys;
}

function readForm(
  type: string,
  keys: Map<string, string>,
  {
    annotations,
    bool,
    fail,
  }: { annotations: Annotations; bool: (key: string, fallback: boolean) => boolean; fail: Fail },
): ImageForm {
  let compression: Compression;
  try {
    compression = parseCompression(keys.get("compression") ?? "gzip", keys.get("compression-level"));
  } catch (error) {
    return fail((error as Error).message, error instanceof SlipwayError ? error.hint : undefined);
  }
  let ociTypes = bool("oci-mediatypes", true);
  if (!ociTypes && type === "oci")
    fail("an OCI layout has OCI media types", "-o type=docker takes oci-mediatypes=false.");
  // BuildKit turns them on as well: Docker's own types know neither.
  if (compression.format === "zstd" || !isUnannotated(annotations)) ociTypes = true;
  return { compression, force: bool("force-compression", false), ociTypes, annotations };
}
