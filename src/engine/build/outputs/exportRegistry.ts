import { madeImage } from "../../../image/madeImage.ts";
import type { Image } from "../../../image/Image.ts";
import { type Descriptor, dockerTypeOf, ociTypeOf } from "../../../oci/descriptor.ts";
import type { Digest } from "../../../oci/digest.ts";
import { sha256 } from "../../../oci/digest.ts";
import { parseReference } from "../../../oci/reference.ts";
import { serializeConfig } from "../../../store/putImage.ts";
import { storeLayer } from "../../../store/storeImage.ts";
import type { Engine } from "../../Engine.ts";
import { openPush, pushImage } from "../../images/pushTarget.ts";
import type { RemoteBases } from "../remoteBases.ts";
import type { Status } from "../vertices.ts";
import { indexEntry, makeIndex } from "../../../image/makeIndex.ts";
import { annotationsOf } from "./annotations.ts";
import { describedAs, storeForm } from "./exportArchive.ts";
import type { BuiltImage, BuiltResult } from "./exportResult.ts";
import type { ImageForm, OutputSpec } from "./OutputSpec.ts";

/**
 * Brings the result to the registries of its names. What a registry has is not sent, and layers of the base that are not here go from their registry
 * to the other one, where it neither has them nor can mount them. Returns what buildx's metadata file says of it.
 */
export async function exportRegistry(
  engine: Engine,
  { images }: BuiltResult,
  output: OutputSpec & { type: "image" },
  { status, remote }: { status: Status; remote?: RemoteBases },
): Promise<Record<string, unknown>> {
  const { form, names, push } = output;
  const { annotations } = form;
  const origins = new Map<Digest, { domain: string; path: string }>();
  const made = images.map((built) => ({
    image: pushedImage(engine, built, { form, remote, origins }),
    descriptorAnnotations: annotationsOf(annotations, built.platform).manifestDescriptor,
  }));
  const emit: Engine["emit"] = (event) => {
    if (event.type !== "push.layer") return;
    status(`${event.status} ${event.diffID}`, {
      key: event.diffID,
      done: event.status === "pushed" || event.status === "exists" || event.status === "mounted",
      ...(event.current === undefined ? {} : { current: event.current }),
      ...(event.total === undefined ? {} : { total: event.total }),
    });
  };

  // Annotations of an index ask for one.
  const needsIndex =
    made.length > 1 ||
    Object.keys({ ...annotations.index, ...annotations.indexDescriptor, ...made[0]?.descriptorAnnotations }).length > 0;
  let pushed: Descriptor | undefined;
  for (const [repository, tags] of byRepository(names)) {
    const { domain, path } = parseReference(repository);
    const to = openPush(
      { ...engine, emit },
      { domain, path },
      { ...(push?.insecure ? { tlsVerify: false } : {}), origins },
    );
    const [first = "latest"] = tags;
    const manifests: Descriptor[] = [];
    let bytes: Uint8Array = new Uint8Array();
    for (const { image, descriptorAnnotations } of made) {
      const manifest = await pushImage(image, { ...to, ...(needsIndex || push?.byDigest ? {} : { reference: first }) });
      manifests.push(await indexEntry(image, descriptorAnnotations));
      bytes = await image.rawManifest();
      pushed = manifest;
    }
    if (needsIndex) ({ bytes, descriptor: pushed } = makeIndex(manifests, annotations.index));
    if (pushed === undefined) break;
    for (const reference of push?.byDigest ? [pushed.digest] : tags) {
      const isThere = !needsIndex && (push?.byDigest || reference === first);
      if (!isThere) await to.registry.putManifest(path, reference, { bytes, mediaType: pushed.mediaType });
      status(`pushing manifest for ${repository}${push?.byDigest ? "" : `:${reference}`}@${pushed.digest}`);
    }
  }
  if (pushed === undefined) throw new Error("an image is pushed under a name");
  const [only, ...others] = images;
  const config =
    only === undefined || others.length > 0 ? undefined : sha256(Buffer.from(serializeConfig(only.config)));
  return { ...describedAs(pushed, config), "image.name": names.join(",") };
}

/** The image with layers of its base that are not here: they come from their registry when they are read. */
function pushedImage(
  engine: Engine,
  { config, platform }: BuiltImage,
  {
    form,
    remote,
    origins,
  }: { form: ImageForm; remote: RemoteBases | undefined; origins: Map<Digest, { domain: string; path: string }> },
): Image {
  const rawConfig = new TextEncoder().encode(serializeConfig(config));
  const own = storeForm(form, platform);
  const layers = config.rootfs.diff_ids.map((diffID) => {
    if (engine.store.layers.get(diffID) !== undefined) return storeLayer(engine.store, diffID, own);
    const found = remote?.layer(diffID);
    if (found === undefined) throw new Error(`layer ${diffID} is neither here nor in a registry`);
    origins.set(diffID, found.from);
    return { ...found.layer, mediaType: (form.ociTypes ? ociTypeOf : dockerTypeOf)(found.layer.mediaType) };
  });
  return madeImage({
    config,
    rawConfig: () => rawConfig,
    layers,
    dockerTypes: !form.ociTypes,
    annotations: own.annotations ?? {},
  });
}

/** Tags of each repository, in the order of the names. */
function byRepository(names: readonly string[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const name of names) {
    const { domain, path, tag = "latest" } = parseReference(name);
    const repository = `${domain}/${path}`;
    found.set(repository, [...(found.get(repository) ?? []), tag]);
  }
  return found;
}
