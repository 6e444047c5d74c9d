import { resolve } from "node:path";
import type { Platform } from "../../oci/platform.ts";
import { formatFullPlatform } from "../../oci/platform.ts";
import { parseReference } from "../../oci/reference.ts";
import type { BaseImage, ResolveImage } from "../../plan/graph.ts";
import type { ImageRecord, Lease } from "../../store/Store.ts";
import type { BuildContexts } from "./contexts/buildContexts.ts";
import type { BuildOptions, Engine } from "../Engine.ts";
import type { RemoteBases } from "./remoteBases.ts";
import { imagesOf, ofPlatform, platformOf } from "../images/resolveImage.ts";
import type { Status, Vertices } from "./vertices.ts";

/** Base images by reference: from the store when the name is there, else (and with `--pull`) from the registry. Each is asked for once. */
export function createBaseResolver(
  engine: Engine,
  options: BuildOptions,
  work: {
    vertices: Vertices;
    lease: Lease;
    layouts: BuildContexts["layouts"];
    /** Takes the images that are not here: their layers come when a step needs them. All come at once where it is absent. */
    remote?: RemoteBases;
  },
): ResolveImage {
  const { vertices, lease, layouts, remote } = work;
  const known = new Map<string, Promise<BaseImage>>();
  const prefix = (platform: Platform): string =>
    (options.platforms?.length ?? 0) > 1 ? `${formatFullPlatform(platform)} ` : "";
  return (reference, platform) => {
    const layout = layouts.get(reference);
    if (layout !== undefined) {
      return vertices.internal(`[internal] load ${reference}`, (status) =>
        layoutImage(engine, { reference, layout, platform, lease }, status),
      );
    }
    const { canonical } = parseReference(reference);
    const key = `${canonical} ${formatFullPlatform(platform)}`;
    let found = known.get(key);
    if (found === undefined) {
      found = vertices.internal(`[${prefix(platform)}internal] load metadata for ${canonical}`, (status) =>
        baseImage(engine, options, { reference: canonical, platform, lease, remote }, status),
      );
      known.set(key, found);
    }
    return found;
  };
}

async function baseImage(
  engine: Engine,
  options: BuildOptions,
  {
    reference,
    platform,
    lease,
    remote,
  }: { reference: string; platform: Platform; lease: Lease; remote: RemoteBases | undefined },
  status: Status,
): Promise<BaseImage> {
  for (;;) {
    const local = localImage(engine, options, reference, platform);
    if (local === undefined && remote !== undefined) {
      const { id, config } = await remote.resolve(reference, platform);
      return { reference, imageID: id, config, platform: platformOf(config) };
    }
    const record = local ?? (await pulled(engine, reference, platform, status));
    // Somebody may have removed it meanwhile.
    if (record !== undefined && hold(engine, record, lease)) return baseOf(reference, record);
  }
}

function baseOf(reference: string, record: ImageRecord): BaseImage {
  return {
    reference,
    imageID: record.id,
    config: record.config,
    platform: platformOf(record.config),
  };
}

/** From now on what the image has stays as long as the build. False where it is not there any more. */
function hold({ store }: Engine, { id, config }: ImageRecord, lease: Lease): boolean {
  return store.transaction(() => {
    if (store.images.get(id) === undefined) return false;
    for (const layer of config.rootfs.diff_ids) lease.protect("layer", layer);
    return true;
  });
}

/** Like `createBaseResolver`, but of an image that is not here only manifest and config are fetched. */
export function createConfigResolver(
  engine: Engine,
  options: BuildOptions,
  work: { lease: Lease; layouts: BuildContexts["layouts"] },
): ResolveImage {
  return async (reference, platform) => {
    const layout = work.layouts.get(reference);
    if (layout !== undefined)
      return layoutImage(engine, { reference, layout, platform, lease: work.lease }, () => undefined);
    const { canonical } = parseReference(reference);
    const local = localImage(engine, options, canonical, platform);
    if (local !== undefined)
      return { reference: canonical, imageID: local.id, config: local.config, platform: platformOf(local.config) };
    const { fetchConfig } = await import("../images/pull.ts");
    const { id, config } = await fetchConfig(engine, canonical, {
      platform: formatFullPlatform(platform),
      lease: work.lease,
    });
    return { reference: canonical, imageID: id, config, platform: platformOf(config) };
  };
}

/** An image of an OCI layout. It gets no name in the store: the lease holds it, and then what was built on it. */
async function layoutImage(
  engine: Engine,
  from: {
    reference: string;
    layout: { path: string; tag?: string; digest?: string };
    platform: Platform;
    lease: Lease;
  },
  status: Status,
): Promise<BaseImage> {
  const [{ openArchive }, { readOciLayout }, { fetchImage }] = await Promise.all([
    import("../../archive/openArchive.ts"),
    import("../../archive/ociLayout.ts"),
    import("../images/pull.ts"),
  ]);
  const { layout, lease, platform, reference } = from;
  const path = resolve(layout.path);
  const files = await openArchive(engine.store.linux, { path }, () => lease.directory());
  try {
    const source = await readOciLayout(files);
    const { id, config } = await fetchImage(
      quiet(engine, status),
      source,
      { path: "", canonical: reference },
      {
        top: await source.manifest("", layout.digest ?? layout.tag ?? ""),
        lease,
        platform: formatFullPlatform(platform),
      },
    );
    return { reference, imageID: id, config, platform: platformOf(config) };
  } finally {
    files.close();
  }
}

async function pulled(
  engine: Engine,
  reference: string,
  platform: Platform,
  status: Status,
): Promise<ImageRecord | undefined> {
  const { pull } = await import("../images/pull.ts");
  const result = await pull(quiet(engine, status), reference, { platform: formatFullPlatform(platform) });
  return engine.store.images.get(result.imageID);
}

/** The engine with what a pull tells as lines of one step. */
export function quiet(engine: Engine, status: Status): Engine {
  return {
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
}

/** What the store has under the name, for the platform, unless the registry is to be asked anyway. */
function localImage(
  engine: Engine,
  options: BuildOptions,
  reference: string,
  platform: Platform,
): ImageRecord | undefined {
  return options.pull ? undefined : ofPlatform(imagesOf(engine, reference), platform);
}
