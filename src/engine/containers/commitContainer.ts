import { describeLayer } from "../../layer/packLayer.ts";
import type { ContainerConfig, ImageConfig } from "../../oci/config.ts";
import type { Digest } from "../../oci/digest.ts";
import { parseReference } from "../../oci/reference.ts";
import { putImage } from "../../store/putImage.ts";
import { removeMountStubs } from "../../runtime/mountStubs.ts";
import { applyChange } from "./commitChange.ts";
import { containerOptions } from "./ContainerOptions.ts";
import type { Engine } from "../Engine.ts";

export interface CommitOptions {
  /** Name of the new image. */
  reference?: string;
  author?: string;
  message?: string;
  /** Dockerfile instructions: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR, HEALTHCHECK NONE, SHELL. */
  changes: string[];
}

/**
 * Makes an image of a container, running or not: its image's layers and what it has written, its config and the changes. The writable layer is
 * copied, as the container goes on writing in it. Returns the image's ID. @throws SlipwayError `CONTAINER_NOT_FOUND`, `INVALID_CHANGE`, `INVALID_REFERENCE`
 */
export async function commitContainer(engine: Engine, nameOrId: string, options: CommitOptions): Promise<Digest> {
  const { store } = engine;
  const { linux } = store;
  const record = store.containers.find(nameOrId);
  const settings = containerOptions(record);
  const reference = options.reference === undefined ? undefined : parseReference(options.reference).canonical;
  let config: ContainerConfig = settings.config;
  for (const change of options.changes) config = applyChange(config, change);
  const base = store.images.get(record.image)?.config;
  const created = new Date().toISOString();
  const diffIDs = [...record.layers];
  const lease = store.lease("commit");
  try {
    for (const diffID of record.layers) lease.protect("layer", diffID);
    const directory = lease.directory();
    const layers = record.layers.map((diffID) => store.layers.require(diffID));
    store.snapshotter.copyWritten(layers, store.containers.directory(record.id), directory, (written) =>
      removeMountStubs(linux, written, settings.stubs ?? []),
    );
    const layer = describeLayer(linux, directory);
    store.layers.adopt(directory, layer, lease);
    lease.protect("layer", layer.diffID);
    diffIDs.push(layer.diffID);
    const image: ImageConfig = {
      architecture: base?.architecture ?? (process.arch === "x64" ? "amd64" : process.arch),
      os: "linux",
      ...(base?.variant === undefined ? {} : { variant: base.variant }),
      created,
      ...(options.author === undefined ? {} : { author: options.author }),
      config,
      rootfs: { type: "layers", diff_ids: diffIDs },
      history: [
        ...(base?.history ?? []),
        {
          created,
          created_by: settings.args.join(" "),
          ...(options.author === undefined ? {} : { author: options.author }),
          ...(options.message === undefined ? {} : { comment: options.message }),
        },
      ],
    };
    return store.transaction(() => {
      const { imageID } = putImage(store, { config: image, lease });
      if (reference !== undefined) store.images.tag(reference, imageID);
      return imageID;
    });
  } finally {
    lease.release();
  }
}
