import type { Digest } from "../../oci/digest.ts";
import { isDigest } from "../../oci/digest.ts";
import { parseReference, type Reference } from "../../oci/reference.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";

/** Where an image is or goes to, as a command line says it. */
export type ImagePlace =
  | { kind: "registry"; reference: Reference }
  /** `tag`: within the layout; for reading also a digest. */
  | { kind: "layout"; path: string; archive: boolean; tag?: string }
  /** `name` is canonical. */
  | { kind: "docker-archive"; path: string; name?: string }
  /** A name or ID. */
  | { kind: "store"; name: string };

/**
 * `docker://NAME`, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:REF]`, or a name of the store. As with skopeo a path ends at the first
 * colon; `@sha256:DIGEST` in the place of the tag names a manifest of a layout.
 * @throws SlipwayError `USAGE`, `INVALID_REFERENCE`
 */
export function parsePlace(text: string): ImagePlace {
  const scheme = /^([a-z-]+):\/\//.exec(text)?.[1];
  if (scheme === "docker") return { kind: "registry", reference: parseReference(text.slice("docker://".length)) };
  if (scheme !== undefined)
    throw new SlipwayError("USAGE", `${JSON.stringify(text)} names no place of an image`, {
      hint: "Places are docker://NAME, oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:REF], and names of the store.",
    });
  const [, transport, rest = ""] = /^(oci|oci-archive|docker-archive):(.*)$/s.exec(text) ?? [];
  if (transport === undefined) return { kind: "store", name: text };
  const [, path = "", tag] = /^([^:]*?)(?:(?::|@(?=sha256:))(.*))?$/s.exec(rest) ?? [];
  if (path === "") throw new SlipwayError("USAGE", `${JSON.stringify(text)} names no file`);
  if (transport === "docker-archive")
    return { kind: "docker-archive", path, ...(tag ? { name: parseReference(tag).canonical } : {}) };
  return { kind: "layout", path, archive: transport === "oci-archive", ...(tag ? { tag } : {}) };
}

/** The tag that an image gets at its destination. @throws SlipwayError `USAGE` for a digest: that is the image's own */
export function tagOf(place: ImagePlace): string | undefined {
  const tag = place.kind === "layout" ? place.tag : place.kind === "registry" ? place.reference.tag : undefined;
  const digest: Digest | undefined =
    place.kind === "registry" ? place.reference.digest : tag !== undefined && isDigest(tag) ? tag : undefined;
  if (digest !== undefined) throw new SlipwayError("USAGE", `a copy gets a tag, not the digest ${digest}`);
  return tag;
}
