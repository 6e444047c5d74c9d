import type { Image } from "../../image/Image.ts";
import type { Digest } from "../../oci/digest.ts";
import { isIndex } from "../../oci/parseManifest.ts";
import { type Documents, readDocuments } from "../../store/documents.ts";
import type { ImageRecord, Store } from "../../store/Store.ts";
import { storeImage } from "../../store/storeImage.ts";

/** What leaves the store under a name. */
export interface NamedImages {
  /** By the manifests that they came by under the name, as far as that can be had. */
  images: Image[];
  /** The index that the name came as, where all of it is here. */
  whole?: Documents;
}

/** `records`: the images that the name stands for, or those of them that are asked for. `source`: what the name came as. */
export function namedImages(store: Store, records: readonly ImageRecord[], source: Digest | undefined): NamedImages {
  const came = source === undefined ? undefined : readDocuments(store, source);
  const isWhole = came !== undefined && isIndex(came.top.manifest) && came.missing.length === 0;
  return {
    images: records.map(({ id }) =>
      storeImage(store, id, came?.parts.find(({ image }) => image === id)?.descriptor.digest),
    ),
    ...(isWhole ? { whole: came } : {}),
  };
}
