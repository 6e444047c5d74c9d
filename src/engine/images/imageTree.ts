import { type Digest, sha256 } from "../../oci/digest.ts";
import type { Index } from "../../oci/manifest.ts";
import { isIndex } from "../../oci/parseManifest.ts";
import { formatPlatform } from "../../oci/platform.ts";
import { familiarName } from "../../oci/reference.ts";
import { blobsOf, type Part, readDocuments } from "../../store/documents.ts";
import type { ImageRecord } from "../../store/Store.ts";
import type { Engine, ImageSummary } from "../Engine.ts";
import { platformOf } from "./resolveImage.ts";

/** One platform of an image. */
export interface TreeBranch {
  platform: string;
  /** None where it is not in the store, or kept as it came. */
  id?: Digest;
  /** Unpacked and as it came. */
  diskUsage: number;
  /** As it came: manifest, config and compressed layers. */
  contentSize: number;
  isUsed: boolean;
}

/** An image with the names that stand for the same platforms of it. */
export interface TreeNode extends Omit<TreeBranch, "platform"> {
  id: Digest;
  names: string[];
  /** In the order of the index; no attestations. */
  platforms: TreeBranch[];
}

/** What the images' names stand for, by platform (`docker images --tree`). What platforms have in common counts once in the whole. */
export function imageTree(engine: Engine, found: readonly ImageSummary[]): TreeNode[] {
  const { images, containers } = engine.store;
  const used = new Set(containers.list().map(({ image }) => image));
  return found.flatMap((summary) => {
    const main = images.get(summary.id);
    if (main === undefined) return [];
    const shown = images.tags(summary.id).filter(({ reference }) => summary.tags.includes(familiarName(reference)));
    const groups = new Map<string, { names: string[]; records: ImageRecord[]; source?: Digest }>();
    for (const { reference, source } of shown) {
      const records = images.ofTag(reference);
      const key = [source, ...records.map(({ id }) => id)].join();
      const group = groups.get(key) ?? { names: [], records, ...(source === undefined ? {} : { source }) };
      group.names.push(familiarName(reference));
      groups.set(key, group);
    }
    if (groups.size === 0) groups.set("", { names: [], records: [main] });
    return [...groups.values()].map((group) => node(engine, main, { ...group, used }));
  });
}

function node(
  engine: Engine,
  main: ImageRecord,
  group: { names: string[]; records: ImageRecord[]; source?: Digest; used: ReadonlySet<Digest> },
): TreeNode {
  const { names, records, source, used } = group;
  const came = source === undefined ? undefined : readDocuments(engine.store, source);
  const manifests = new Map<Digest, Part>();
  for (const part of came?.parts ?? []) if (part.image !== undefined) manifests.set(part.image, part);
  const branches: (TreeBranch & { sizes: Map<string, number> })[] = [];
  const branch = (platform: string, sizes: Map<string, number>, id?: Digest): void => {
    const contentSize = sum(sizes, "content ");
    const diskUsage = contentSize + sum(sizes, "layer ");
    const isUsed = id !== undefined && used.has(id);
    branches.push({ platform, sizes, diskUsage, contentSize, isUsed, ...(id === undefined ? {} : { id }) });
  };
  const ofRecord = (record: ImageRecord): void =>
    branch(
      formatPlatform(platformOf(record.config)),
      new Map([...layerSizes(engine, record), ...contentSizes(engine, record, manifests.get(record.id))]),
      record.id,
    );

  const listed = came !== undefined && isIndex(came.top.manifest) ? entries(came.parts, came.top.manifest) : [];
  for (const { platform, part } of listed) {
    const record = records.find(({ id }) => id === part?.image);
    if (record !== undefined) ofRecord(record);
    else branch(platform, part === undefined ? new Map() : partSizes(engine, part));
  }
  for (const record of records) if (!branches.some(({ id }) => id === record.id)) ofRecord(record);

  const all = new Map(branches.flatMap(({ sizes }) => [...sizes]));
  const contentSize = sum(all, "content ");
  return {
    ...{ id: main.id, names, contentSize, diskUsage: contentSize + sum(all, "layer ") },
    isUsed: branches.some((each) => each.isUsed),
    platforms: branches.map(({ sizes: _, ...each }) => each),
  };
}

/** What an index, or one in it, names of images, each with its manifest where that is here. */
function entries(parts: readonly Part[], index: Index): { platform: string; part?: Part }[] {
  return index.manifests.flatMap(({ digest, platform }) => {
    const part = parts.find(({ descriptor }) => descriptor.digest === digest);
    if (part !== undefined && isIndex(part.manifest)) return entries(parts, part.manifest);
    if (platform === undefined || platform.os === "unknown") return [];
    return [{ platform: formatPlatform(platform), ...(part === undefined ? {} : { part }) }];
  });
}

function layerSizes({ store }: Engine, { config }: ImageRecord): [string, number][] {
  return config.rootfs.diff_ids.map((diffID) => [`layer ${diffID}`, store.layers.require(diffID).size]);
}

/** What the store has of the image as it came, or, without its manifest, of compressed layers at all. */
function contentSizes(engine: Engine, { id, config }: ImageRecord, part: Part | undefined): Map<string, number> {
  if (part !== undefined) return partSizes(engine, part);
  const { blobs, layers } = engine.store;
  const sizes = new Map([[`content ${id}`, blobs.size(id) ?? 0]]);
  for (const diffID of config.rootfs.diff_ids)
    for (const { digest } of layers.blobs(diffID)) sizes.set(`content ${digest}`, blobs.size(digest) ?? 0);
  return sizes;
}

function partSizes({ store: { blobs } }: Engine, { bytes, manifest }: Part): Map<string, number> {
  const sizes = new Map([[`content ${sha256(bytes)}`, bytes.length]]);
  if (!isIndex(manifest))
    for (const { digest } of blobsOf(manifest)) sizes.set(`content ${digest}`, blobs.size(digest) ?? 0);
  return sizes;
}

function sum(sizes: ReadonlyMap<string, number>, prefix: string): number {
  let total = 0;
  for (const [key, size] of sizes) if (key.startsWith(prefix)) total += size;
  return total;
}
