import { putImage, serializeConfig } from "../../../store/putImage.ts";
import type { ImageConfig } from "../../../oci/config.ts";
import { type Digest, sha256 } from "../../../oci/digest.ts";
import { hostPlatform, type Platform } from "../../../oci/platform.ts";
import { pickPlatform } from "../../../oci/platformMatch.ts";
import { SlipwayError } from "../../../oci/SlipwayError.ts";
import type { Lease } from "../../../store/Store.ts";
import type { Engine } from "../../Engine.ts";
import type { Status, Vertices } from "../vertices.ts";
import type { RemoteBases } from "../remoteBases.ts";
import { checkAnnotations, noAnnotations, tagAnnotations } from "./annotations.ts";
import { goesToStore, type OutputSpec } from "./OutputSpec.ts";

export interface BuiltImage {
  config: ImageConfig;
  platform: Platform;
}

export interface BuiltResult {
  /** One a platform, in the order of the index that names them where they are several. */
  images: BuiltImage[];
  /** Canonical names. */
  tags: string[];
  /** SOURCE_DATE_EPOCH in seconds. */
  epoch?: number;
}

export interface Exported {
  /** Of the image for this machine, or of the first. */
  imageID: Digest;
  /** The image is in the store. */
  stored: boolean;
  /** As buildx's `--metadata-file` has it. */
  metadata: Record<string, unknown>;
}

/** The one that runs here, else the first. */
export function ownImage<I extends { platform: Platform }>(images: readonly I[]): I {
  const own = pickPlatform(hostPlatform(), images) ?? images[0];
  if (own === undefined) throw new Error("a build gives an image");
  return own;
}

/** What can be known to be wrong before anything is built. @throws SlipwayError `INVALID_OUTPUT`, `INVALID_ANNOTATION` */
export function checkOutputs(outputs: readonly OutputSpec[], platforms: readonly Platform[]): void {
  for (const output of outputs) {
    if ("form" in output) checkAnnotations(output.form.annotations, platforms);
    if (output.type === "docker" && output.dest !== undefined && platforms.length > 1)
      throw new SlipwayError("INVALID_OUTPUT", "docker exporter does not currently support exporting manifest lists", {
        hint: "type=oci does, and so do --push and the store.",
      });
  }
}

/**
 * Gives the result of a build to its outputs, one after the other, each a step of the progress display. The lease holds the layers. What
 * fails leaves nothing half-written behind; outputs before it stay.
 */
export async function exportResult(
  engine: Engine,
  result: BuiltResult,
  {
    outputs,
    vertices,
    lease,
    remote,
  }: {
    outputs: readonly OutputSpec[];
    vertices: Vertices;
    lease: Lease;
    /** Where layers of the base may be that are not in the store. */
    remote?: RemoteBases;
  },
): Promise<Exported> {
  const exported: Exported = {
    imageID: sha256(new TextEncoder().encode(serializeConfig(ownImage(result.images).config))),
    stored: false,
    metadata: {},
  };
  for (const output of outputs) {
    if (goesToStore(output)) {
      await vertices.internal("exporting to image", async (status) =>
        toStore(engine, result, { output, lease, status }),
      );
      exported.stored = true;
      Object.assign(exported.metadata, storeMetadata(exported.imageID, output), exported.metadata);
      continue;
    }
    if (output.type === "image") {
      const { exportRegistry } = await import("./exportRegistry.ts");
      Object.assign(
        exported.metadata,
        await vertices.internal("exporting to image", (status) =>
          exportRegistry(engine, result, output, { status, ...(remote === undefined ? {} : { remote }) }),
        ),
      );
      const { store } = output;
      const isWhole = result.images.every(({ config }) =>
        config.rootfs.diff_ids.every((diffID) => engine.store.layers.get(diffID) !== undefined),
      );
      if (store === "never" || !isWhole) continue;
      await vertices.internal("writing image to the store", async (status) => {
        toStore(engine, result, { output, lease, status });
        recordPushed(engine, exported, output);
      });
      exported.stored = true;
      continue;
    }
    if (output.type !== "cacheonly")
      Object.assign(
        exported.metadata,
        await vertices.internal(vertexName(output), (status) => exportOne(engine, result, output, { lease, status })),
      );
  }
  return exported;
}

/** The store makes the manifest when the image leaves: as with Docker's own image store, the digest until then is the ID. */
function storeMetadata(imageID: Digest, output: OutputSpec): Record<string, unknown> {
  const names = "names" in output ? output.names : [];
  return {
    "containerimage.config.digest": imageID,
    "containerimage.digest": imageID,
    ...(names.length === 0 ? {} : { "image.name": names.join(",") }),
  };
}

function vertexName(output: OutputSpec): string {
  switch (output.type) {
    case "local":
      return "exporting to client directory";
    case "tar":
      return "exporting to client tarball";
    default:
      return `exporting to ${output.type} image format`;
  }
}

function toStore(
  { store }: Engine,
  { images, tags }: BuiltResult,
  { output, lease, status }: { output: OutputSpec; lease: Lease; status: Status },
): void {
  const names = "names" in output ? output.names : tags;
  const written = store.transaction(() => {
    const ids = images.map(({ config, platform }) => ({ id: putImage(store, { config, lease }).imageID, platform }));
    const annotations = tagAnnotations("form" in output ? output.form.annotations : noAnnotations(), ids);
    const more = { images: ids.map(({ id }) => id), ...(annotations === undefined ? {} : { annotations }) };
    for (const name of names) store.images.tag(name, ownImage(ids).id, undefined, more);
    return ids;
  });
  for (const { id } of written) status(`writing image ${id}`);
  for (const name of names) status(`naming to ${name.replace(/:latest$/, "")}`);
}

/** The digests under which registries have taken it. */
function recordPushed(
  { store: { images } }: Engine,
  { imageID, metadata }: Exported,
  { names }: { names: string[] },
): void {
  const digest = metadata["containerimage.digest"] as Digest;
  for (const name of names) {
    images.setRepoDigest(name, digest);
    images.addRepoDigest(name.replace(/:[^:/]+$/, ""), digest, imageID);
  }
}

async function exportOne(
  engine: Engine,
  { images, tags, epoch }: BuiltResult,
  output: OutputSpec,
  { lease, status }: { lease: Lease; status: Status },
): Promise<Record<string, unknown>> {
  switch (output.type) {
    case "local":
    case "tar": {
      const { exportDirectory, exportTar } = await import("./exportRoot.ts");
      const text = output.type === "local" ? "copying files" : "sending tarball";
      const onProgress = (current: number): void => status(text, { key: text, current, done: false });
      const roots = images.map(({ config, platform }) => ({ layers: config.rootfs.diff_ids, platform }));
      const form = {
        platformSplit: output.platformSplit ?? images.length > 1,
        ...(epoch === undefined ? {} : { epoch }),
      };
      if (output.type === "tar") await exportTar(engine, roots, { ...form, dest: output.dest, onProgress });
      else await exportDirectory(engine, roots, { ...form, dest: output.dest, mode: output.mode, onProgress });
      status(text, { key: text, done: true });
      return {};
    }
    case "oci":
    case "docker": {
      const { exportArchive } = await import("./exportArchive.ts");
      return exportArchive(engine, { images, tags }, output, { lease, status });
    }
  }
  throw new Error(`no exporter for ${output.type}`);
}
