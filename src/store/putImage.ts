import type { HistoryEntry, ImageConfig } from "../oci/config.ts";
import type { Digest } from "../oci/digest.ts";
import type { Lease, Store } from "./Store.ts";

/**
 * Writes the config of an image that was made here, and records it. Its layers must be in the store. The same config gives the same ID:
 * keys are in the order in which BuildKit writes them, empty ones left out, map keys sorted.
 * @throws SlipwayError `LAYER_NOT_FOUND`
 */
export function putImage(store: Store, { config, lease }: { config: ImageConfig; lease: Lease }): { imageID: Digest } {
  const bytes = new TextEncoder().encode(serializeConfig(config));
  const imageID = store.blobs.write(bytes, lease);
  lease.protect("image", imageID);
  store.images.put(imageID);
  return { imageID };
}

const topKeys = [
  "architecture",
  "author",
  "config",
  "created",
  "history",
  "os",
  "os.version",
  "os.features",
  "rootfs",
  "variant",
];
const configKeys = [
  ...[
    "Hostname",
    "Domainname",
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Healthcheck",
    "ArgsEscaped",
    "Volumes",
  ],
  ...["WorkingDir", "OnBuild", "Labels", "StopSignal", "StopTimeout", "Shell"],
];
const historyKeys = ["created", "created_by", "author", "comment", "empty_layer"] satisfies (keyof HistoryEntry)[];
const maps = ["ExposedPorts", "Volumes", "Labels"];

export function serializeConfig(image: ImageConfig): string {
  const config = ordered({ ...image.config }, configKeys);
  for (const key of maps) {
    const map = config[key];
    if (typeof map === "object" && map !== null) config[key] = Object.fromEntries(Object.entries(map).sort(byKey));
  }
  return JSON.stringify(
    ordered(
      {
        ...image,
        config,
        ...(image.history === undefined
          ? {}
          : { history: image.history.map((entry) => ordered({ ...entry }, historyKeys)) }),
      },
      topKeys,
    ),
  );
}

/** Known keys first, in their order, then the others by name, so that nothing that a config carries is lost. */
function ordered(record: Record<string, unknown>, keys: readonly string[]): Record<string, unknown> {
  const rest = Object.keys(record)
    .filter((key) => !keys.includes(key))
    .sort();
  const present = [...keys, ...rest].filter((key) => record[key] !== undefined);
  return Object.fromEntries(present.map((key) => [key, record[key]]));
}

function byKey([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
