import type { Platform } from "../oci/platform.ts";
import { formatFullPlatform } from "../oci/platform.ts";
import { matchesPlatform } from "../oci/platformMatch.ts";
import { parseReference } from "../oci/reference.ts";
import type { BaseImage, ResolveImage } from "../plan/graph.ts";
import type { ImageRecord } from "../store/Store.ts";
import type { BuildOptions, Engine } from "./Engine.ts";
import { findImage } from "./resolveImage.ts";
import type { Status, Vertices } from "./vertices.ts";

/** Base images by reference: from the store when the name is there, else (and with `--pull`) from the registry. Each is asked for once. */
export function createBaseResolver(engine: Engine, options: BuildOptions, vertices: Vertices): ResolveImage {
  const known = new Map<string, Promise<BaseImage>>();
  return (reference, platform) => {
    const { canonical } = parseReference(reference);
    const key = `${canonical} ${formatFullPlatform(platform)}`;
    let found = known.get(key);
    if (found === undefined) {
      found = vertices.internal(`[internal] load metadata for ${canonical}`, (status) =>
        baseImage(engine, options, canonical, platform, status),
      );
      known.set(key, found);
    }
    return found;
  };
}

async function baseImage(
  engine: Engine,
  options: BuildOptions,
  reference: string,
  platform: Platform,
  status: Status,
): Promise<BaseImage> {
  const local = options.pull ? undefined : findImage(engine, reference);
  const record =
    local !== undefined && fits(local, platform) ? local : await pulled(engine, reference, platform, status);
  return {
    reference,
    imageID: record.id,
    config: record.config,
    platform: platformOf(record),
  };
}

async function pulled(engine: Engine, reference: string, platform: Platform, status: Status): Promise<ImageRecord> {
  const { pull } = await import("./pull.ts");
  const quiet: Engine = {
    ...engine,
    emit: (event) => {
      if (event.type !== "pull.layer") return;
      status(`${event.status} ${event.digest}`, {
        key: event.digest,
        done: event.status === "done" || event.status === "exists",
        ...(event.current === undefined ? {} : { current: event.current }),
        ...(event.total === undefined ? {} : { total: event.total }),
      });
    },
  };
  const result = await pull(quiet, reference, { platform: formatFullPlatform(platform) });
  const record = engine.store.images.get(result.imageID);
  if (record === undefined) throw new Error(`pull of ${reference} left no image behind`);
  return record;
}

function platformOf({ config }: ImageRecord): Platform {
  const platform: Platform = { os: config.os, architecture: config.architecture };
  if (config.variant !== undefined) platform.variant = config.variant;
  return platform;
}

function fits(record: ImageRecord, platform: Platform): boolean {
  return matchesPlatform(platform, platformOf(record));
}
