import { madeImage } from "../../image/madeImage.ts";
import { type Descriptor, dockerTypeOf, mediaTypes, ociTypeOf } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import { sha256 } from "../../oci/digest.ts";
import { parseReference } from "../../oci/reference.ts";
import { serializeConfig } from "../../store/putImage.ts";
import { storeLayer } from "../../store/storeImage.ts";
import type { Engine } from "../Engine.ts";
import { openPush, pushImage } from "../push.ts";
import type { RemoteBases } from "../remoteBases.ts";
import type { Status } from "../vertices.ts";
import { storeForm } from "./exportArchive.ts";
import type { BuiltResult } from "./exportResult.ts";
import type { OutputSpec } from "./OutputSpec.ts";

/**
 * Brings the result to the registries of its names. What a registry has is not sent, and layers of the base that are not here go from their registry
 * to the other one, where it neither has them nor can mount them. Returns what buildx's metadata file says of it.
 */
export async function exportRegistry(
  engine: Engine,
  { config, platform }: BuiltResult,
  output: OutputSpec & { type: "image" },
  { status, remote }: { status: Status; remote?: RemoteBases },
): Promise<Record<string, unknown>> {
  const { form, names, push } = output;
  const { annotations } = form;
  const rawConfig = new TextEncoder().encode(serializeConfig(config));
  const own = storeForm(form);
  const origins = new Map<Digest, { domain: string; path: string }>();
  const layers = config.rootfs.diff_ids.map((diffID) => {
    if (engine.store.layers.get(diffID) !== undefined) return storeLayer(engine.store, diffID, own);
    const found = remote?.layer(diffID);
    if (found === undefined) throw new Error(`layer ${diffID} is neither here nor in a registry`);
    origins.set(diffID, found.from);
    return { ...found.layer, mediaType: (form.ociTypes ? ociTypeOf : dockerTypeOf)(found.layer.mediaType) };
  });
  const image = madeImage({
    config,
    rawConfig: () => rawConfig,
    layers,
    dockerTypes: !form.ociTypes,
    annotations: annotations.manifest,
  });
  const emit: Engine["emit"] = (event) => {
    if (event.type !== "push.layer") return;
    status(`${event.status} ${event.diffID}`, {
      key: event.diffID,
      done: event.status === "pushed" || event.status === "exists" || event.status === "mounted",
      ...(event.current === undefined ? {} : { current: event.current }),
      ...(event.total === undefined ? {} : { total: event.total }),
    });
  };

  const { index, indexDescriptor, manifestDescriptor } = annotations;
  const needsIndex = Object.keys({ ...index, ...indexDescriptor, ...manifestDescriptor }).length > 0;
  let pushed: Descriptor | undefined;
  for (const [repository, tags] of byRepository(names)) {
    const { domain, path } = parseReference(repository);
    const to = openPush(
      { ...engine, emit },
      { domain, path },
      { ...(push?.insecure ? { tlsVerify: false } : {}), origins },
    );
    const [first = "latest"] = tags;
    const manifest = await pushImage(image, { ...to, ...(needsIndex || push?.byDigest ? {} : { reference: first }) });
    const top = needsIndex ? indexOf(manifest) : { descriptor: manifest, bytes: await image.rawManifest() };
    pushed = top.descriptor;
    for (const reference of push?.byDigest ? [pushed.digest] : tags) {
      const isThere = !needsIndex && (push?.byDigest || reference === first);
      if (!isThere) await to.registry.putManifest(path, reference, { bytes: top.bytes, mediaType: pushed.mediaType });
      status(`pushing manifest for ${repository}${push?.byDigest ? "" : `:${reference}`}@${pushed.digest}`);
    }
  }
  if (pushed === undefined) throw new Error("an image is pushed under a name");

  /** Annotations of an index ask for one. */
  function indexOf(manifest: Descriptor): { bytes: Uint8Array; descriptor: Descriptor } {
    const bytes = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: mediaTypes.ociIndex,
        manifests: [
          {
            ...manifest,
            platform,
            ...(Object.keys(manifestDescriptor).length === 0 ? {} : { annotations: manifestDescriptor }),
          },
        ],
        ...(Object.keys(index).length === 0 ? {} : { annotations: index }),
      }),
    );
    return { bytes, descriptor: { mediaType: mediaTypes.ociIndex, digest: sha256(bytes), size: bytes.length } };
  }

  const configDigest = sha256(rawConfig);
  return {
    "containerimage.config.digest": configDigest,
    "containerimage.digest": pushed.digest,
    "containerimage.descriptor": { ...pushed, annotations: { "config.digest": configDigest } },
    "image.name": names.join(","),
  };
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
