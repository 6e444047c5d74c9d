import { formatFullPlatform, normalizePlatform, type Platform, parsePlatform } from "../../../oci/platform.ts";
import { isSlipwayError, SlipwayError } from "../../../oci/SlipwayError.ts";
import type { TagAnnotations } from "../../../store/Store.ts";
import type { Annotations } from "./OutputSpec.ts";

type Level = Exclude<keyof Annotations, "platforms">;

const levels: Record<string, Level> = {
  manifest: "manifest",
  "manifest-descriptor": "manifestDescriptor",
  index: "index",
  "index-descriptor": "indexDescriptor",
};

export function noAnnotations(): Annotations {
  return { manifest: {}, manifestDescriptor: {}, index: {}, indexDescriptor: {}, platforms: {} };
}

/** None at all. */
export function isUnannotated({ platforms, ...everywhere }: Annotations): boolean {
  return Object.keys(platforms).length === 0 && Object.values(everywhere).every((of) => Object.keys(of).length === 0);
}

/** Of the manifest of this platform and of its descriptor: what was said of it is stronger than what was said of all. */
export function annotationsOf(all: Annotations, platform: Platform): Annotations["platforms"][string] {
  const own = all.platforms[formatFullPlatform(normalizePlatform(platform))];
  return {
    manifest: { ...all.manifest, ...own?.manifest },
    manifestDescriptor: { ...all.manifestDescriptor, ...own?.manifestDescriptor },
  };
}

/** BuildKit's rule and words. @throws SlipwayError `INVALID_ANNOTATION` */
export function checkAnnotations({ platforms }: Annotations, built: readonly Platform[]): void {
  const there = new Set(built.map((platform) => formatFullPlatform(normalizePlatform(platform))));
  for (const platform of Object.keys(platforms))
    if (!there.has(platform))
      throw new SlipwayError("INVALID_ANNOTATION", `invalid annotation: no platform ${platform} found in source`, {
        hint: `The build is for ${[...there].join(", ")}.`,
      });
}

/** What the store keeps of them for a later push; undefined where there are none. */
export function tagAnnotations(
  all: Annotations,
  images: readonly { id: `sha256:${string}`; platform: Platform }[],
): TagAnnotations | undefined {
  if (isUnannotated(all)) return undefined;
  const of: TagAnnotations["images"] = {};
  for (const { id, platform } of images) {
    const { manifest, manifestDescriptor: descriptor } = annotationsOf(all, platform);
    of[id] = { manifest, descriptor };
  }
  return { index: all.index, images: of };
}

/**
 * `--annotation [LEVEL[,LEVEL…][PLATFORM]:]KEY=VALUE`; the level is the manifest where none is said. What stands before a colon is a level only
 * where it is one: keys may have colons. @throws SlipwayError `INVALID_ANNOTATION`
 */
export function parseAnnotations(texts: readonly string[]): Annotations {
  const all = noAnnotations();
  for (const text of texts) {
    const fail = (why: string): never => {
      throw new SlipwayError("INVALID_ANNOTATION", `--annotation ${text}: ${why}`, {
        hint: "For example --annotation manifest:org.opencontainers.image.title=hello",
      });
    };
    const equals = text.indexOf("=");
    if (equals <= 0) fail("it must say KEY=VALUE");
    const value = text.slice(equals + 1);
    const said = /^([a-z-]+(?:\[[^\]]*\])?(?:,[a-z-]+(?:\[[^\]]*\])?)*):(.+)$/.exec(text.slice(0, equals));
    const prefixes = said?.[1]?.split(",") ?? [];
    if (said === null || !prefixes.every((prefix) => levels[prefix.replace(/\[.*/, "")] !== undefined)) {
      all.manifest[text.slice(0, equals)] = value;
      continue;
    }
    for (const prefix of prefixes) {
      const [name = "", platform] = prefix.replace(/\]$/, "").split("[");
      setAnnotation(all, { level: levels[name] as Level, platform, key: said[2] as string, value }, fail);
    }
  }
  return all;
}

/** `annotation.KEY`, `annotation-index.KEY`, `annotation[PLATFORM].KEY` …: `rest` is what follows `annotation`. */
export function addAnnotation(all: Annotations, rest: string, value: string, fail: (why: string) => never): void {
  const found = /^(?:-([a-z-]+))?(?:\[([^\]]*)\])?\.(.+)$/.exec(rest);
  const level = levels[found?.[1] ?? "manifest"];
  if (found === null || level === undefined) throw fail(`annotation${rest} is not of the form annotation-LEVEL.KEY`);
  setAnnotation(all, { level, platform: found[2], key: found[3] as string, value }, fail);
}

function setAnnotation(
  all: Annotations,
  { level, platform, key, value }: { level: Level; platform: string | undefined; key: string; value: string },
  fail: (why: string) => never,
): void {
  if (platform === undefined) {
    all[level][key] = value;
    return;
  }
  if (level === "index" || level === "indexDescriptor") throw fail("an index is of all platforms");
  try {
    const name = formatFullPlatform(normalizePlatform(parsePlatform(platform)));
    all.platforms[name] ??= { manifest: {}, manifestDescriptor: {} };
    all.platforms[name][level][key] = value;
  } catch (error) {
    if (!isSlipwayError(error, "INVALID_PLATFORM")) throw error;
    fail(error.message);
  }
}
