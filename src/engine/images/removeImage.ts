import { type Digest, digestHex } from "../../oci/digest.ts";
import { hostPlatform } from "../../oci/platform.ts";
import { familiarName, parseReference } from "../../oci/reference.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { ContainerRecord, ImageRecord } from "../../store/Store.ts";
import type { Engine, RemovedImage } from "../Engine.ts";
import { recordEvent } from "../events/eventLog.ts";
import { imagesOf, ofPlatform, resolveImage, tagNamed } from "./resolveImage.ts";

/**
 * Docker's rules: a name that is one of several is taken away and no more; with the last one the image goes. An image by its ID goes if it has
 * names in one repository only, or by force. One that a container uses goes by force only, and never while that container runs.
 * All or nothing. @throws SlipwayError `IMAGE_NOT_FOUND`, `IMAGE_IN_USE`
 */
export function removeImage(engine: Engine, nameOrId: string, options: RemoveOptions = {}): RemovedImage {
  const { id } = resolveImage(engine, nameOrId, options.platform);
  const removed = remove(engine, nameOrId, options);
  for (const name of removed.untagged)
    recordEvent(engine, { Type: "image", Action: "untag", id, attributes: { name } });
  if (removed.deleted.length > 0)
    recordEvent(engine, { Type: "image", Action: "delete", id, attributes: { name: id } });
  return removed;
}

export interface RemoveOptions {
  force?: boolean;
  /** Of a name of several platforms this one alone. */
  platform?: string;
}

function remove(engine: Engine, nameOrId: string, { force = false, platform }: RemoveOptions): RemovedImage {
  const { store } = engine;
  return store.transaction(() => {
    const beside = imagesOf(engine, nameOrId);
    if (platform !== undefined && beside.length > 1) return removeOne(engine, nameOrId, { beside, platform });
    const image = resolveImage(engine, nameOrId, platform);
    // Those of other platforms go with the last of their names.
    const others = (all: readonly ImageRecord[]): Digest[] =>
      all.flatMap(({ id }) => (id === image.id ? [] : removeUnneeded(engine, id)));
    const named = store.images.tags(image.id);
    const tags = named.map(({ reference }) => reference);
    const name = tagOf(nameOrId, tags);
    if (name !== undefined && tags.length > 1) {
      store.images.untag(name);
      return { untagged: [familiarName(name)], deleted: others(beside) };
    }
    const user = store.containers.list().filter((container) => container.image === image.id);
    const running = user.find(({ status }) => status === "running" || status === "paused");
    if (running !== undefined)
      throw inUse(image, `(cannot be forced) - image is being used by running container`, running);
    const [stopped] = user;
    if (stopped !== undefined && !force)
      throw inUse(image, `(must be forced) - image is being used by stopped container`, stopped);
    const repositories = new Set(tags.map((tag) => tag.slice(0, tag.lastIndexOf(":"))));
    if (name === undefined && repositories.size > 1 && !force) {
      throw new SlipwayError(
        "IMAGE_IN_USE",
        `conflict: unable to delete ${short(image)} (must be forced) - image is referenced in multiple repositories`,
      );
    }
    const digests = store.images.repoDigests(image.id).map((each) => familiarName(`${each.repository}@${each.digest}`));
    // A name that stands for another platform's image stays with that.
    const own = named.filter(({ id }) => id === image.id).map(({ reference }) => reference);
    const platforms = own.flatMap((reference) => store.images.ofTag(reference));
    const layers = store.images.remove(image.id);
    return { untagged: [...own.map(familiarName), ...digests], deleted: [image.id, ...layers, ...others(platforms)] };
  });
}

/** `--platform`: the name stays with the others. */
function removeOne(
  engine: Engine,
  nameOrId: string,
  { beside, platform }: { beside: readonly ImageRecord[]; platform: string },
): RemovedImage {
  const { images } = engine.store;
  const gone = resolveImage(engine, nameOrId, platform);
  const named = tagNamed(engine, nameOrId);
  if (named === undefined) throw new Error("several images have a name");
  const left = beside.filter(({ id }) => id !== gone.id);
  const main = ofPlatform(left, hostPlatform()) ?? (left[0] as ImageRecord);
  const { reference, annotations, repoDigest, source } = named;
  images.tag(reference, main.id, repoDigest, {
    images: left.map(({ id }) => id),
    ...(source === undefined ? {} : { source }),
    ...(annotations === undefined ? {} : { annotations }),
  });
  // The digests by which registries know the name's index: the rest of it is found by them.
  for (const { repository, digest } of images.repoDigests(gone.id)) images.addRepoDigest(repository, digest, main.id);
  return { untagged: [], deleted: removeUnneeded(engine, gone.id) };
}

/** An image without a name that no container is made of, and what went with it. */
function removeUnneeded({ store }: Engine, id: Digest): Digest[] {
  const isGone = store.images.get(id) === undefined;
  const isUsed = isGone || store.containers.list().some(({ image }) => image === id);
  return isUsed || store.images.tags(id).length > 0 ? [] : [id, ...store.images.remove(id)];
}

/** The one of `tags` that was meant, if the image was named and not given by its ID. */
function tagOf(nameOrId: string, tags: string[]): string | undefined {
  try {
    const { canonical } = parseReference(nameOrId);
    return tags.find((tag) => tag === canonical);
  } catch (error) {
    if (error instanceof SlipwayError) return undefined;
    throw error;
  }
}

function inUse(image: ImageRecord, why: string, container: ContainerRecord): SlipwayError {
  return new SlipwayError(
    "IMAGE_IN_USE",
    `conflict: unable to delete ${short(image)} ${why} ${container.id.slice(0, 12)}`,
    {
      hint: `Remove the container ${container.name} first.`,
    },
  );
}

function short(image: ImageRecord): string {
  return digestHex(image.id).slice(0, 12);
}
