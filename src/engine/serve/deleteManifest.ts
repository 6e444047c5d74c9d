import type { Engine } from "../Engine.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Content } from "./content.ts";

/**
 * Takes a tag away, or a manifest with all its tags in the repository. The image of a manifest that is deleted goes when it has no other name
 * and no container. False where there is none.
 */
export async function deleteManifest(
  { store }: Engine,
  content: Content,
  repository: string,
  what: { tag: string } | { digest: Digest },
): Promise<boolean> {
  const { images, manifests } = store;
  if ("tag" in what)
    return store.transaction(() => {
      const ofImage = images.untag(`${repository}:${what.tag}`);
      return manifests.untag(repository, what.tag) || ofImage;
    });

  const { digest } = what;
  if ((await content.manifest(repository, { digest })) === undefined) return false;
  const named: { reference: string; id: Digest }[] = [];
  for (const { reference, id } of images.tags()) {
    if (!reference.startsWith(`${repository}:`)) continue;
    const found = await content.manifest(repository, { tag: reference.slice(repository.length + 1) });
    if (found?.digest === digest) named.push({ reference, id });
  }
  const given = images.byRepoDigest(repository, digest);
  const ids = new Set([...named.map(({ id }) => id), ...(given === undefined ? [] : [given.id])]);
  store.transaction(() => {
    for (const { reference } of named) images.untag(reference);
    manifests.remove(repository, digest);
    images.removeRepoDigest(repository, digest);
    for (const id of ids) {
      const used = images.tags(id).length > 0 || store.containers.list().some(({ image }) => image === id);
      const elsewhere = images.repoDigests(id).length > 0;
      if (!used && !elsewhere) images.remove(id);
    }
  });
  return true;
}
