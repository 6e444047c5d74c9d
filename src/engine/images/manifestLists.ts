import { type Built, makeIndex } from "../../image/makeIndex.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Platform } from "../../oci/platform.ts";
import { familiarName, parseReference } from "../../oci/reference.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { Engine } from "../Engine.ts";
import { createPlaces, entriesOf, findManifest, pushIndex, type Source } from "./imageIndexes.ts";
import type { RegistryAccess } from "./openRegistry.ts";

/** Docker's `manifest` commands: a list is made here, changed here, and pushed as a whole. Kept in the store until it is removed. */
interface Draft {
  /** By the canonical name that was given. */
  entries: { name: string; source: Source }[];
}

const keyOf = (list: string): string => `manifest list ${parseReference(list).canonical}`;

function read({ store }: Engine, list: string): Draft | undefined {
  const text = store.settings.get(keyOf(list));
  return text === undefined ? undefined : (JSON.parse(text) as Draft);
}

function require(engine: Engine, list: string): Draft {
  const found = read(engine, list);
  if (found !== undefined) return found;
  throw new SlipwayError(
    "MANIFEST_LIST_NOT_FOUND",
    `No such manifest: ${familiarName(parseReference(list).canonical)}`,
    {
      hint: "Make it by slipway manifest create LIST IMAGE...",
    },
  );
}

/** @throws SlipwayError `MANIFEST_LIST_EXISTS`, those of the registries. Returns the list's canonical name. */
export async function createManifestList(
  engine: Engine,
  list: string,
  names: readonly string[],
  options: RegistryAccess & { amend?: boolean } = {},
): Promise<string> {
  const { canonical } = parseReference(list);
  const before = read(engine, list);
  if (before !== undefined && !options.amend) {
    throw new SlipwayError("MANIFEST_LIST_EXISTS", `refusing to amend an existing manifest list with no --amend flag`);
  }
  const places = createPlaces(engine, options);
  const entries = new Map((before?.entries ?? []).map((entry) => [entry.name, entry]));
  for (const name of names) {
    const reference = parseReference(name);
    const sources = await entriesOf(places(reference), await findManifest(places(reference), reference));
    if (sources.length !== 1)
      throw new SlipwayError("INVALID_MANIFEST", `${name} is a manifest list: name the images in it by their digests`);
    const [source] = sources as [Source];
    entries.set(reference.canonical, { name: reference.canonical, source });
  }
  const draft: Draft = { entries: [...entries.values()] };
  engine.store.settings.set(keyOf(list), JSON.stringify(draft));
  return canonical;
}

/** Sets what is said of the platform of one entry. @throws SlipwayError `MANIFEST_LIST_NOT_FOUND` */
export function annotateManifestList(engine: Engine, list: string, name: string, platform: Partial<Platform>): void {
  const draft = require(engine, list);
  const { canonical } = parseReference(name);
  const entry = draft.entries.find((each) => each.name === canonical);
  if (entry === undefined)
    throw new SlipwayError("MANIFEST_LIST_NOT_FOUND", `manifest for image ${name} does not exist in ${list}`);
  const { descriptor } = entry.source;
  descriptor.platform = { ...(descriptor.platform as Platform), ...platform };
  engine.store.settings.set(keyOf(list), JSON.stringify(draft));
}

/** The list as it would be pushed. Undefined where none of that name is here. */
export function draftedIndex(engine: Engine, list: string): Built | undefined {
  const draft = read(engine, list);
  return draft === undefined ? undefined : makeIndex(draft.entries.map(({ source }) => source.descriptor));
}

/** @throws SlipwayError `MANIFEST_LIST_NOT_FOUND`, those of `Registry` */
export async function pushManifestList(
  engine: Engine,
  list: string,
  options: RegistryAccess & { purge?: boolean } = {},
): Promise<Digest> {
  const { entries } = require(engine, list);
  const sources = entries.map(({ source }) => source);
  const built = makeIndex(sources.map(({ descriptor }) => descriptor));
  const digest = await pushIndex(createPlaces(engine, options), parseReference(list), built, sources);
  if (options.purge) removeManifestList(engine, list);
  return digest;
}

/** @throws SlipwayError `MANIFEST_LIST_NOT_FOUND` */
export function removeManifestList(engine: Engine, list: string): void {
  require(engine, list);
  engine.store.settings.delete(keyOf(list));
}
