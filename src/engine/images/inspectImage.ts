import { familiarName } from "../../oci/reference.ts";
import type { Engine } from "../Engine.ts";
import { resolveImage } from "./resolveImage.ts";

/** Docker's shape (`docker image inspect`). @throws SlipwayError `IMAGE_NOT_FOUND` */
export function inspectImage(engine: Engine, nameOrId: string, platform?: string): Record<string, unknown> {
  const { images, layers } = engine.store;
  const { id, config, size } = resolveImage(engine, nameOrId, platform);
  const tags = images.tags(id);
  const paths = config.rootfs.diff_ids.map((diffID) => layers.require(diffID).path).reverse();
  const [upper, ...lower] = paths;
  const last = Math.max(0, ...tags.map(({ tagged }) => tagged));
  return {
    Id: id,
    RepoTags: tags.map(({ reference }) => familiarName(reference)),
    RepoDigests: images.repoDigests(id).map((each) => familiarName(`${each.repository}@${each.digest}`)),
    Parent: "",
    Comment: config.history?.at(-1)?.comment ?? "",
    Created: config.created ?? "0001-01-01T00:00:00Z",
    DockerVersion: "",
    Author: config.author ?? "",
    Config: config.config ?? null,
    Architecture: config.architecture,
    ...(config.variant === undefined ? {} : { Variant: config.variant }),
    Os: config.os,
    ...(config["os.version"] === undefined ? {} : { OsVersion: config["os.version"] }),
    Size: size,
    GraphDriver: {
      Data: {
        ...(lower.length === 0 ? {} : { LowerDir: lower.join(":") }),
        ...(upper === undefined ? {} : { UpperDir: upper }),
      },
      Name: "overlay2",
    },
    RootFS: { Type: "layers", Layers: config.rootfs.diff_ids },
    Metadata: { LastTagTime: last === 0 ? "0001-01-01T00:00:00Z" : new Date(last).toISOString() },
  };
}
