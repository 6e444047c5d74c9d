import type { Compression } from "../../../layer/compressLayer.ts";
import { noAnnotations } from "./annotations.ts";

/** What is to be written into the documents of an image: `--annotation`, and `annotation…` of an output. */
export interface Annotations {
  manifest: Record<string, string>;
  /** Of the descriptor that names the manifest. */
  manifestDescriptor: Record<string, string>;
  index: Record<string, string>;
  indexDescriptor: Record<string, string>;
  /** Of one platform alone, by its text. */
  platforms: Record<string, { manifest: Record<string, string>; manifestDescriptor: Record<string, string> }>;
}

/** How an image leaves. */
export interface ImageForm {
  compression: Compression;
  /** Layers of the base that are compressed otherwise are compressed anew. */
  force: boolean;
  /** Media types of the OCI; Docker's where false. */
  ociTypes: boolean;
  annotations: Annotations;
}

/** One `-o`, checked. Names are canonical references. A `dest` of "-" is standard output. */
export type OutputSpec =
  /** In the store; with `push` (before it, so that what fails there leaves no name behind) in registries under its names. */
  | {
      type: "image";
      names: string[];
      form: ImageForm;
      push?: {
        /** Under its digest, without a tag. */
        byDigest: boolean;
        /** Whatever certificate, or plain http. */
        insecure: boolean;
      };
      /** Not in the store where `never`; `whole`: where all its layers are here anyway. */
      store?: "always" | "whole" | "never";
    }
  | { type: "oci"; names: string[]; form: ImageForm; dest: string; tar: boolean }
  /** Without `dest` the store takes it, as `docker load` would. */
  | { type: "docker"; names: string[]; form: ImageForm; dest?: string; tar: boolean }
  | { type: "local"; dest: string; mode: "copy" | "delete"; platformSplit?: boolean }
  | { type: "tar"; dest: string; platformSplit?: boolean }
  | { type: "cacheonly" };

/** Whether the output is the image under the user's eyes: in the store. */
export function goesToStore(spec: OutputSpec): boolean {
  return (spec.type === "image" && spec.push === undefined) || (spec.type === "docker" && spec.dest === undefined);
}

/** Whether the output makes do with layers of the base that are in a registry. */
export function takesRemoteLayers(spec: OutputSpec): boolean {
  if (spec.type === "cacheonly") return true;
  return spec.type === "image" && spec.push !== undefined && (spec.store ?? "always") !== "always" && !spec.form.force;
}

/** gzip, OCI types, no annotations. */
export function defaultForm(): ImageForm {
  return { compression: { format: "gzip" }, force: false, ociTypes: true, annotations: noAnnotations() };
}
