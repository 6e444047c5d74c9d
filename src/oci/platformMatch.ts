import { normalizePlatform, type Platform } from "./platform.ts";

/**
 * Which images a wish takes. `compatible`: also those of older processors that its processors run (arm64 takes arm, amd64 takes 386);
 * `strict`: the platform itself; `os`: any processor.
 */
export type PlatformMode = "compatible" | "strict" | "os";

/** Whether an image of platform `have` is taken where `wanted` is asked for. */
export function matchesPlatform(wanted: Platform, have: Platform, mode: PlatformMode = "compatible"): boolean {
  return rank(wanted, have, mode) < NOT_TAKEN;
}

/** The entry that fits `wanted` best; the first of equals. Undefined where none is taken. */
export function pickPlatform<T extends { platform?: Platform }>(
  wanted: Platform,
  entries: readonly T[],
): T | undefined {
  const known = entries.filter(
    (entry): entry is T & { platform: Platform } =>
      entry.platform !== undefined && matchesPlatform(wanted, entry.platform),
  );
  return orderPlatforms(wanted, known, "compatible")[0];
}

/** The entries, those first that fit `wanted` better: fewer steps to an older processor, then more of its features. Stable. */
export function orderPlatforms<T extends { platform: Platform }>(
  wanted: Platform,
  entries: readonly T[],
  mode: PlatformMode,
): T[] {
  const features = ({ platform }: T) => platform["os.features"]?.length ?? 0;
  const ranks = new Map(entries.map((entry) => [entry, rank(wanted, entry.platform, mode)]));
  const of = (entry: T) => ranks.get(entry) ?? UNFIT;
  return entries.toSorted((a, b) => of(a) - of(b) || (of(a) < NOT_TAKEN ? features(b) - features(a) : 0));
}

/** From here on an image is not taken: it would fit, but needs features of the system that were not asked for. */
const NOT_TAKEN = 1000;
const UNFIT = Number.MAX_SAFE_INTEGER;

/** 0 for the platform itself, more for each step back to an older one. */
function rank(wanted: Platform, have: Platform, mode: PlatformMode): number {
  const want = normalizePlatform(wanted);
  const got = normalizePlatform(have);
  if (want.os !== got.os || !runsVersion(want, got)) return UNFIT;
  const accepted = mode === "compatible" ? runnable(want) : [keyOf(want)];
  let place = accepted.indexOf(keyOf(got));
  if (place < 0) {
    if (mode !== "os") return UNFIT;
    place = 1;
  }
  const asked = want["os.features"] ?? [];
  return (got["os.features"] ?? []).every((feature) => asked.includes(feature)) ? place : NOT_TAKEN + place;
}

/** Only Windows ties images to its version: before build 20348 to the very build, from there on the kernel runs older builds too. */
function runsVersion(want: Platform, got: Platform): boolean {
  const host = want.os === "windows" ? versionOf(want["os.version"]) : undefined;
  if (host === undefined || !got["os.version"]) return true;
  const [major, minor, build] = versionOf(got["os.version"]) ?? [0, 0, 0];
  if (major !== host[0] || minor !== host[1]) return false;
  return host[2] < 20348 ? build === host[2] : build >= 20348 && build <= host[2];
}

function versionOf(text = ""): [number, number, number] | undefined {
  const found = /^(\d+)\.(\d+)\.(\d+)(?:\.|$)/.exec(text);
  return found === null ? undefined : [Number(found[1]), Number(found[2]), Number(found[3])];
}

function keyOf({ architecture, variant }: Platform): string {
  return variant === undefined ? architecture : `${architecture}/${variant}`;
}

/** What the processors of a platform run, best first, as `architecture[/variant]`. */
function runnable({ architecture, variant }: Platform): string[] {
  const own = keyOf({ os: "", architecture, ...(variant === undefined ? {} : { variant }) });
  if (architecture === "amd64") {
    const level = Number(/^v(\d)$/.exec(variant ?? "v1")?.[1] ?? Number.NaN);
    if (Number.isNaN(level)) return [own];
    return [...older(level, 2).map((v) => `amd64/v${v}`), "amd64", "386"];
  }
  if (architecture === "arm") return armFrom(own, variant);
  if (architecture === "arm64") {
    const [, major, minor = "0"] = /^v([89])(?:\.(\d))?$/.exec(variant ?? "v8") ?? [];
    if (major === undefined) return [own];
    // Armv9.n has what Armv8.(n+5) has, and Armv8 ends at 8.9.
    const nine = major === "9" ? [...older(Number(minor), 1).map((v) => `arm64/v9.${v}`), "arm64/v9"] : [];
    const eight = older(major === "9" ? Math.min(Number(minor) + 5, 9) : Number(minor), 1);
    return [...nine, ...eight.map((v) => `arm64/v8.${v}`), "arm64", ...armFrom("arm/v8", "v8")];
  }
  return [own];
}

function armFrom(own: string, variant: string | undefined): string[] {
  const version = Number(/^v([5-8])$/.exec(variant ?? "")?.[1] ?? Number.NaN);
  return Number.isNaN(version) ? [own] : older(version, 5).map((v) => `arm/v${v}`);
}

/** `from` down to `to`, both included; empty where `from` is the lower. */
function older(from: number, to: number): number[] {
  return Array.from({ length: Math.max(from - to + 1, 0) }, (_, step) => from - step);
}
