import { createDirectorySink } from "../../archive/directorySink.ts";
import { createTarSink } from "../../archive/tarSink.ts";
import { writeLayout } from "../../archive/writeLayout.ts";
import { serializeConfig } from "../../store/putImage.ts";
import type { Lease } from "../../store/Store.ts";
import { layersImage, type StoreForm } from "../../store/storeImage.ts";
import type { Engine } from "../Engine.ts";
import type { Status } from "../vertices.ts";
import type { BuiltResult } from "./exportResult.ts";
import type { ImageForm, OutputSpec } from "./OutputSpec.ts";

/** Writes the result as an OCI layout or docker-archive; what buildx's metadata file says of it. */
export async function exportArchive(
  { store }: Engine,
  { config }: BuiltResult,
  output: OutputSpec & { type: "oci" | "docker" },
  { lease, status }: { lease: Lease; status: Status },
): Promise<Record<string, unknown>> {
  const { form, names, dest = "-" } = output;
  const rawConfig = new TextEncoder().encode(serializeConfig(config));
  const image = layersImage(store, { config, rawConfig: () => rawConfig }, storeForm(form));
  const sink = output.tar
    ? createTarSink(store.linux, dest, () => lease.directory())
    : createDirectorySink(store.linux, dest);
  const { index, indexDescriptor, manifestDescriptor } = form.annotations;
  const needsIndex = Object.keys({ ...index, ...indexDescriptor }).length > 0;
  const [written] = await writeLayout(
    sink,
    [
      {
        image,
        names,
        annotations: manifestDescriptor,
        ...(needsIndex ? { index: { annotations: index, descriptorAnnotations: indexDescriptor } } : {}),
      },
    ],
    { docker: output.type === "docker", onStatus: status },
  );
  if (written === undefined) throw new Error("an image was given and none written");
  const { descriptor } = written;
  return {
    "containerimage.config.digest": written.config,
    "containerimage.digest": descriptor.digest,
    "containerimage.descriptor": {
      ...descriptor,
      annotations: { "config.digest": written.config, ...descriptor.annotations },
    },
    ...(names.length === 0 ? {} : { "image.name": names.join(",") }),
  };
}

export function storeForm({ compression, force, ociTypes, annotations }: ImageForm): StoreForm {
  return { compression, force, dockerTypes: !ociTypes, annotations: annotations.manifest };
}
