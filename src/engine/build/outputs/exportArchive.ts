import { createDirectorySink } from "../../../archive/directorySink.ts";
import { createTarSink } from "../../../archive/tarSink.ts";
import { writeLayout } from "../../../archive/writeLayout.ts";
import type { Descriptor } from "../../../oci/descriptor.ts";
import type { Digest } from "../../../oci/digest.ts";
import type { Platform } from "../../../oci/platform.ts";
import { serializeConfig } from "../../../store/putImage.ts";
import type { Lease } from "../../../store/Store.ts";
import { layersImage, type StoreForm } from "../../../store/storeImage.ts";
import type { Engine } from "../../Engine.ts";
import type { Status } from "../vertices.ts";
import { annotationsOf } from "./annotations.ts";
import type { BuiltResult } from "./exportResult.ts";
import type { ImageForm, OutputSpec } from "./OutputSpec.ts";

/** Writes the result as an OCI layout or docker-archive; what buildx's metadata file says of it. */
export async function exportArchive(
  { store }: Engine,
  { images }: BuiltResult,
  output: OutputSpec & { type: "oci" | "docker" },
  { lease, status }: { lease: Lease; status: Status },
): Promise<Record<string, unknown>> {
  const { form, names, dest = "-" } = output;
  const sink = output.tar
    ? createTarSink(store.linux, dest, () => lease.directory())
    : createDirectorySink(store.linux, dest);
  const { index, indexDescriptor } = form.annotations;
  const needsIndex = Object.keys({ ...index, ...indexDescriptor }).length > 0;
  const [written] = await writeLayout(
    sink,
    [
      {
        images: images.map(({ config, platform }) => {
          const rawConfig = new TextEncoder().encode(serializeConfig(config));
          return {
            image: layersImage(store, { config, rawConfig: () => rawConfig }, storeForm(form, platform)),
            annotations: annotationsOf(form.annotations, platform).manifestDescriptor,
          };
        }),
        names,
        ...(needsIndex ? { index: { annotations: index, descriptorAnnotations: indexDescriptor } } : {}),
      },
    ],
    { docker: output.type === "docker", onStatus: status },
  );
  if (written === undefined) throw new Error("an image was given and none written");
  const { descriptor } = written;
  return {
    ...describedAs(descriptor, images.length === 1 ? written.config : undefined),
    ...(names.length === 0 ? {} : { "image.name": names.join(",") }),
  };
}

/** buildx's words for the result; an index of several platforms has no config. */
export function describedAs(descriptor: Descriptor, config: Digest | undefined): Record<string, unknown> {
  const named = config === undefined ? {} : { "config.digest": config };
  const annotations = { ...named, ...descriptor.annotations };
  return {
    ...(config === undefined ? {} : { "containerimage.config.digest": config }),
    "containerimage.digest": descriptor.digest,
    "containerimage.descriptor": { ...descriptor, ...(Object.keys(annotations).length === 0 ? {} : { annotations }) },
  };
}

export function storeForm({ compression, force, ociTypes, annotations }: ImageForm, platform: Platform): StoreForm {
  const { manifest } = annotationsOf(annotations, platform);
  return { compression, force, dockerTypes: !ociTypes, annotations: manifest };
}
