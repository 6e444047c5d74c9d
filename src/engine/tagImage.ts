import { parseReference } from "../oci/reference.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import type { Engine } from "./Engine.ts";
import { recordEvent } from "./eventLog.ts";
import { resolveImage } from "./resolveImage.ts";

/** Gives the image one more name, taking the name from another that has it. @throws SlipwayError `IMAGE_NOT_FOUND`, `INVALID_REFERENCE` */
export function tagImage(engine: Engine, source: string, target: string): void {
  const { canonical } = parseReference(target);
  if (canonical.includes("@")) {
    throw new SlipwayError("INVALID_REFERENCE", `refusing to create a tag with a digest reference: ${target}`);
  }
  const { id } = resolveImage(engine, source);
  engine.store.images.tag(canonical, id);
  recordEvent(engine, { Type: "image", Action: "tag", id, attributes: { name: target } });
}
