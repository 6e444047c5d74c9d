import { familiarName, parseReference } from "../../oci/reference.ts";
import type { Engine, ImageSummary } from "../Engine.ts";
import { familiarMatch } from "./familiarMatch.ts";

export interface ImagesOptions {
  /** A repository (all of its tags) or a name with tag. */
  reference?: string;
  /** Each key's values are alternatives; all keys must fit: `dangling`, `label` (`key` or `key=value`), `reference` (a glob). */
  filters?: Record<string, string[]>;
}

/** Newest first, images without a name among them. */
export function images(engine: Engine, { reference, filters = {} }: ImagesOptions = {}): ImageSummary[] {
  const { store } = engine;
  const containers = store.containers.list();
  const wanted = reference === undefined ? undefined : familiarName(parseReference(reference).canonical);
  const wholeRepository = reference !== undefined && !/[:@][^/]*$/.test(reference);
  const patterns = filters.reference;
  return store.images.list().flatMap((image): ImageSummary[] => {
    const named = store.images.tags(image.id);
    // Listed with the image that the name stands for.
    const own = named.filter(({ id }) => id === image.id);
    if (own.length === 0 && named.length > 0) return [];
    const all = own.map(({ reference: each }) => familiarName(each));
    const tags = all.filter(
      (tag) =>
        (wanted === undefined || (wholeRepository ? repository(tag) === repository(wanted) : tag === wanted)) &&
        (patterns === undefined || patterns.some((pattern) => familiarMatch(pattern, tag))),
    );
    if (tags.length === 0 && (wanted !== undefined || patterns !== undefined)) return [];
    if (filters.dangling !== undefined && !filters.dangling.includes(String(all.length === 0))) return [];
    const labels = image.config.config?.Labels ?? {};
    const labelled = ([key, value]: [string, string | undefined]) =>
      Object.hasOwn(labels, key) && (value === undefined || labels[key] === value);
    if (filters.label !== undefined && !filters.label.every((label) => labelled(split(label)))) return [];
    return [
      {
        id: image.id,
        tags,
        repoDigests: store.images
          .repoDigests(image.id)
          .map((each) => familiarName(`${each.repository}@${each.digest}`)),
        created: image.created,
        size: image.size,
        containers: containers.filter((container) => container.image === image.id).length,
      },
    ];
  });
}

function repository(tag: string): string {
  return tag.slice(0, tag.lastIndexOf(":"));
}

function split(label: string): [key: string, value: string | undefined] {
  const at = label.indexOf("=");
  return at === -1 ? [label, undefined] : [label.slice(0, at), label.slice(at + 1)];
}
