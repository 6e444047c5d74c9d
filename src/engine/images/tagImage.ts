import { parseReference } from "../../oci/reference.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { Engine } from "../Engine.ts";
import { recordEvent } from "../events/eventLog.ts";
import { cameAs, imagesOf, resolveImage, tagNamed } from "./resolveImage.ts";

/**
 * Gives the image, and those of other platforms that its name stands for, one more name, taking the name from another that has it.
 * @throws SlipwayError `IMAGE_NOT_FOUND`, `INVALID_REFERENCE`
 */
export function tagImage(engine: Engine, source: string, target: string): void {
  const { canonical } = parseReference(target);
  if (canonical.includes("@")) {
    throw new SlipwayError("INVALID_REFERENCE", `refusing to create a tag with a digest reference: ${target}`);
  }
  const { store } = engine;
  const id = store.transaction(() => {
    const image = resolveImage(engine, source);
    const named = tagNamed(engine, source);
    if (named?.reference === canonical) return image.id;
    const images = imagesOf(engine, source).map((each) => each.id);
    const { annotations, source: came } = cameAs(engine, source) ?? {};
    store.images.tag(canonical, image.id, undefined, {
      images,
      ...(annotations === undefined ? {} : { annotations }),
      ...(came === undefined ? {} : { source: came }),
    });
    return image.id;
  });
  recordEvent(engine, { Type: "image", Action: "tag", id, attributes: { name: target } });
}
