import type { ContainerConfig, HistoryEntry, ImageConfig } from "../../oci/config.ts";
import type { Digest } from "../../oci/digest.ts";
import { parseReference } from "../../oci/reference.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { putImage } from "../../store/putImage.ts";
import type { Engine } from "../Engine.ts";
import { resolveImage } from "./resolveImage.ts";

export interface RebaseOptions {
  /** The base that the image was built on, and the one that it gets. */
  from: string;
  onto: string;
  tag: string;
}

/**
 * Puts what an image adds to its base over another base, without a build, and names the result. A setting that the image has from its base comes from the
 * new one, each variable and label by itself. All three are images of the store. The same three give the same image. Returns its ID.
 * @throws SlipwayError `IMAGE_NOT_FOUND`, `INVALID_IMAGE` where the image is not built on that base or the platforms differ
 */
export function imageRebase(engine: Engine, name: string, options: RebaseOptions): Digest {
  const { store } = engine;
  const { canonical, digest } = parseReference(options.tag);
  if (digest !== undefined) throw new SlipwayError("USAGE", `an image gets a tag, not a digest: ${options.tag}`);
  const lease = store.lease("rebase");
  try {
    const [image, old, next] = [name, options.from, options.onto].map((each) => {
      const record = resolveImage(engine, each);
      lease.protect("image", record.id);
      for (const diffID of record.config.rootfs.diff_ids) lease.protect("layer", diffID);
      return record.config;
    }) as [ImageConfig, ImageConfig, ImageConfig];
    const below = old.rootfs.diff_ids;
    if (below.some((diffID, i) => image.rootfs.diff_ids[i] !== diffID))
      throw new SlipwayError("INVALID_IMAGE", `${name} is not built on ${options.from}: it has other layers`);
    for (const key of ["os", "architecture", "variant"] as const)
      if (next[key] !== image[key])
        throw new SlipwayError("INVALID_IMAGE", `${options.onto} is for another platform than ${name}`);
    const config: ImageConfig = {
      ...image,
      config: settings(image.config ?? {}, old.config ?? {}, next.config ?? {}),
      rootfs: { type: "layers", diff_ids: [...next.rootfs.diff_ids, ...image.rootfs.diff_ids.slice(below.length)] },
      history: [...(next.history ?? []), ...added(image.history ?? [], old)],
    };
    return store.transaction(() => {
      const { imageID } = putImage(store, { config, lease });
      store.images.tag(canonical, imageID);
      return imageID;
    });
  } finally {
    lease.release();
  }
}

/** What the image's history says beyond its base's; where that was written anew, beyond its layers. */
function added(history: HistoryEntry[], old: ImageConfig): HistoryEntry[] {
  const base = old.history ?? [];
  if (Bun.deepEquals(history.slice(0, base.length), base)) return history.slice(base.length);
  let layers = old.rootfs.diff_ids.length;
  let at = 0;
  for (; layers > 0 && at < history.length; at++) if (history[at]?.empty_layer !== true) layers--;
  return history.slice(at);
}

function settings(image: ContainerConfig, old: ContainerConfig, next: ContainerConfig): ContainerConfig {
  const merged = byKey({ ...image }, { ...old }, { ...next }) as ContainerConfig;
  for (const key of ["Labels", "Volumes", "ExposedPorts"] as const) {
    const map = byKey(image[key] ?? {}, old[key] ?? {}, next[key] ?? {});
    delete merged[key];
    if (Object.keys(map).length > 0) Object.assign(merged, { [key]: map });
  }
  const env = byKey(variables(image.Env), variables(old.Env), variables(next.Env));
  delete merged.Env;
  if (Object.keys(env).length > 0) merged.Env = Object.entries(env).map(([key, value]) => `${key}=${value}`);
  return merged;
}

/** The new base's entries under those of the image that it has not from its old base. */
function byKey(
  image: Record<string, unknown>,
  old: Record<string, unknown>,
  next: Record<string, unknown>,
): Record<string, unknown> {
  const result = { ...next };
  for (const key of new Set([...Object.keys(old), ...Object.keys(image)])) {
    if (Bun.deepEquals(image[key], old[key], true)) continue;
    if (image[key] === undefined) delete result[key];
    else result[key] = image[key];
  }
  return result;
}

function variables(env: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(
    env.map((each) => {
      const at = each.indexOf("=");
      return at === -1 ? [each, ""] : [each.slice(0, at), each.slice(at + 1)];
    }),
  );
}
