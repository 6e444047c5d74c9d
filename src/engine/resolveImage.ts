import { parseReference, readImageID } from "../oci/reference.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import type { ImageRecord } from "../store/Store.ts";
import type { Engine } from "./Engine.ts";

/**
 * The image that the store holds under `nameOrId`, in Docker's order: a whole ID, then a name (with its tag, `latest` where it has none,
 * or with the digest under which a registry gave it), then the beginning of an ID. Undefined where there is none.
 * @throws SlipwayError `AMBIGUOUS_ID`
 */
export function findImage({ store: { images } }: Pick<Engine, "store">, nameOrId: string): ImageRecord | undefined {
  const id = readImageID(nameOrId);
  if (id !== undefined) return images.find(id);
  return findByName(images, nameOrId) ?? images.find(nameOrId);
}

/** @throws SlipwayError `IMAGE_NOT_FOUND`, `AMBIGUOUS_ID` */
export function resolveImage(engine: Pick<Engine, "store">, nameOrId: string): ImageRecord {
  const found = findImage(engine, nameOrId);
  if (found === undefined) throw new SlipwayError("IMAGE_NOT_FOUND", `No such image: ${nameOrId}`);
  return found;
}

function findByName(images: Engine["store"]["images"], name: string): ImageRecord | undefined {
  let canonical: string;
  try {
    ({ canonical } = parseReference(name));
  } catch (error) {
    // `sha256:ab` is no name, but may be the beginning of an ID.
    if (error instanceof SlipwayError) return undefined;
    throw error;
  }
  const at = canonical.indexOf("@");
  if (at === -1) return images.byTag(canonical);
  const repository = canonical.slice(0, at).replace(/:[^:/]*$/, "");
  return images.byRepoDigest(repository, canonical.slice(at + 1) as `sha256:${string}`);
}
