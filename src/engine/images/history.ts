import { familiarName } from "../../oci/reference.ts";
import type { Engine, ImageHistory } from "../Engine.ts";
import { resolveImage } from "./resolveImage.ts";

/** Newest first. Each entry that made a layer carries that layer's size; only the top one is the image itself. */
export function history(engine: Engine, nameOrId: string, platform?: string): ImageHistory[] {
  const { images, layers } = engine.store;
  const image = resolveImage(engine, nameOrId, platform);
  const diffIDs = image.config.rootfs.diff_ids.values();
  const entries = (image.config.history ?? []).map((entry): ImageHistory => {
    const diffID = entry.empty_layer === true ? undefined : diffIDs.next().value;
    if (diffID === undefined) return { ...entry, tags: [], size: 0 };
    return { ...entry, tags: [], size: layers.require(diffID).size, diffID };
  });
  const top = entries.at(-1);
  if (top !== undefined) {
    top.id = image.id;
    top.tags = images.tags(image.id).map(({ reference }) => familiarName(reference));
  }
  return entries.reverse();
}
