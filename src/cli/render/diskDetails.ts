import { containerOptions } from "../../engine/containers/ContainerOptions.ts";
import type { DiskUsage } from "../../engine/diskUsage.ts";
import { humanDuration } from "../../engine/humanDuration.ts";
import { cacheTypes, describeEntry } from "../../engine/prune/pruneCache.ts";
import { statusText } from "../../engine/containers/listContainers.ts";
import { quote } from "../../plan/goFormat.ts";
import type { CacheEntry } from "../../store/collector.ts";
import { humanSize } from "./humanSize.ts";
import { printRows, type Row } from "./printRows.ts";

type Column = [header: string, field: string];

/** `system df -v`: docker's four tables, and a last line for what the store needs itself. A template sees them as four lists. */
export async function printDetails(
  out: (text: string) => void,
  usage: DiskUsage,
  format: string | undefined,
): Promise<void> {
  const lists = {
    Images: imageRows(usage),
    Containers: containerRows(usage),
    Volumes: volumeRows(usage),
    BuildCache: cacheRows(usage.cache.all),
  };
  if (format === "json" || format === "{{json .}}") {
    out(`${JSON.stringify(lists)}\n`);
    return;
  }
  if (format !== undefined && format !== "table") {
    const { compileTemplate } = await import("./template.ts");
    out(`${compileTemplate(format)(lists)}\n`);
    return;
  }
  const tables: [title: string, rows: Row[], columns: Column[]][] = [
    ["Images space usage:", lists.Images, imageColumns],
    ["Containers space usage:", lists.Containers, containerColumns],
    ["Local Volumes space usage:", lists.Volumes, volumeColumns],
    [`Build cache usage: ${humanSize(usage.cache.size, 4)}`, lists.BuildCache, cacheColumns],
  ];
  for (const [title, rows, columns] of tables) {
    out(`${title}\n\n`);
    await printRows(out, rows, columns, undefined);
    out("\n");
  }
  out(`Records (database, build records and logs): ${humanSize(usage.records.size, 4)}\n`);
}

const imageColumns: Column[] = [
  ["REPOSITORY", "Repository"],
  ["TAG", "Tag"],
  ["IMAGE ID", "ID"],
  ["CREATED", "CreatedSince"],
  ["SIZE", "Size"],
  ["SHARED SIZE", "SharedSize"],
  ["UNIQUE SIZE", "UniqueSize"],
  ["CONTAINERS", "Containers"],
];

function imageRows({ images }: DiskUsage): Row[] {
  return images.all.flatMap(({ image, names, size, shared, containers }) =>
    (names.length === 0 ? ["<none>:<none>"] : names).map((name): Row => {
      const colon = name.lastIndexOf(":");
      return {
        Repository: name.slice(0, colon),
        Tag: name.slice(colon + 1),
        ID: image.id.slice("sha256:".length, "sha256:".length + 12),
        CreatedSince: image.created <= 0 ? "N/A" : ago(image.created),
        Size: humanSize(size),
        SharedSize: humanSize(shared),
        UniqueSize: humanSize(size - shared),
        Containers: String(containers),
      };
    }),
  );
}

const containerColumns: Column[] = [
  ["CONTAINER ID", "ID"],
  ["IMAGE", "Image"],
  ["COMMAND", "Command"],
  ["LOCAL VOLUMES", "LocalVolumes"],
  ["SIZE", "Size"],
  ["CREATED", "RunningFor"],
  ["STATUS", "Status"],
  ["NAMES", "Names"],
];

function containerRows({ containers }: DiskUsage): Row[] {
  return containers.all.map(
    ({ record, size, volumes }): Row => ({
      ID: record.id.slice(0, 12),
      Image: record.imageReference,
      Command: quote(containerOptions(record).args.join(" ")),
      LocalVolumes: String(volumes),
      Size: humanSize(size),
      RunningFor: ago(record.created),
      Status: statusText(record),
      Names: record.name,
    }),
  );
}

const volumeColumns: Column[] = [
  ["VOLUME NAME", "Name"],
  ["LINKS", "Links"],
  ["SIZE", "Size"],
];

function volumeRows({ volumes }: DiskUsage): Row[] {
  return volumes.all.map(({ name, links, size }): Row => ({ Name: name, Links: String(links), Size: humanSize(size) }));
}

export const cacheColumns: Column[] = [
  ["CACHE ID", "ID"],
  ["CACHE TYPE", "CacheType"],
  ["SIZE", "Size"],
  ["CREATED", "CreatedSince"],
  ["LAST USED", "LastUsedSince"],
  ["SHARED", "Shared"],
  ["DESCRIPTION", "Description"],
];

export function cacheRows(entries: readonly CacheEntry[]): Row[] {
  return entries.map(
    (entry): Row => ({
      ID: shortId(entry),
      CacheType: cacheTypes[entry.kind],
      Size: humanSize(entry.size),
      CreatedSince: ago(entry.created),
      LastUsedSince: ago(entry.used),
      InUse: String(entry.inUse),
      Shared: String(entry.shared),
      Reclaimable: String(!entry.inUse && !entry.shared),
      Description: describeEntry(entry),
    }),
  );
}

function shortId({ id, kind }: CacheEntry): string {
  const hex = id.startsWith("sha256:") ? id.slice("sha256:".length) : id;
  return kind === "mount" ? hex : hex.slice(0, 12);
}

function ago(time: number): string {
  return `${humanDuration(Math.max(0, Date.now() - time))} ago`;
}
