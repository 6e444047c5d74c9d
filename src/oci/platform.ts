import { SlipwayError } from "./SlipwayError.ts";

/** image-spec, image-index.md "platform". Empty parts are absent. */
export interface Platform {
  os: string;
  architecture: string;
  variant?: string;
  "os.version"?: string;
  "os.features"?: string[];
}

const partForm = /^[\w.-]+$/;
const architectures: Record<string, string> = {
  x86_64: "amd64",
  "x86-64": "amd64",
  x64: "amd64",
  i386: "386",
  ia32: "386",
  aarch64: "arm64",
  armhf: "arm/v7",
  armel: "arm/v6",
};

/** The platform of the machine that this process runs on. */
export function hostPlatform(): Platform {
  return normalizePlatform({ os: process.platform, architecture: process.arch });
}

/**
 * Reads `os/architecture[/variant]`, normalised; `os` alone and `architecture` alone take the rest from the host.
 * @throws SlipwayError `INVALID_PLATFORM`
 */
export function parsePlatform(text: string): Platform {
  const parts = text.split("/");
  if (parts.length > 3 || !parts.every((part) => partForm.test(part))) {
    throw new SlipwayError("INVALID_PLATFORM", `${JSON.stringify(text)} is not a platform`, {
      hint: "A platform is OS/ARCHITECTURE[/VARIANT], such as linux/amd64 or linux/arm/v7.",
    });
  }
  const [first = "", second, variant] = parts;
  const host = hostPlatform();
  if (second !== undefined) {
    return normalizePlatform({ os: first, architecture: second, ...(variant === undefined ? {} : { variant }) });
  }
  return /^(linux|windows|darwin|freebsd|macos)$/i.test(first)
    ? normalizePlatform({ ...host, os: first })
    : normalizePlatform({ os: host.os, architecture: first });
}

/** `os/architecture[/variant]`, as given. */
export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant } = platform;
  return variant ? `${os}/${architecture}/${variant}` : `${os}/${architecture}`;
}

/** One spelling for each platform: lower case, Go's architecture names, no variant where it is the usual one (amd64/v1, arm64/v8). */
export function normalizePlatform(platform: Platform): Platform {
  const { variant: _, ...rest } = platform;
  const os = platform.os.toLowerCase().replace(/^macos$/, "darwin");
  const written = platform.architecture.toLowerCase();
  const [architecture = written, implied] = (architectures[written] ?? written).split("/");
  let variant: string | undefined = platform.variant?.toLowerCase() || implied;
  if (architecture === "arm" || architecture === "arm64") variant = variant?.replace(/^(?=\d)/, "v");
  if (architecture === "arm64") variant = variant?.replace(/^(v\d+)\.0$/, "$1");
  if (architecture === "arm") variant ??= "v7";
  if (
    (architecture === "arm64" && variant === "v8") ||
    (architecture === "amd64" && variant === "v1") ||
    architecture === "386"
  ) {
    variant = undefined;
  }
  return { ...rest, os, architecture, ...(variant === undefined ? {} : { variant }) };
}

/** Whether an image of platform `have` runs where `wanted` is asked for: the same, or one that its processors run too. */
export function matchesPlatform(wanted: Platform, have: Platform): boolean {
  return rank(wanted, have) !== undefined;
}

/** The entry that fits `wanted` best; the first of equals. */
export function pickPlatform<T extends { platform?: Platform }>(
  wanted: Platform,
  entries: readonly T[],
): T | undefined {
  let best: T | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const entry of entries) {
    const distance = entry.platform === undefined ? undefined : rank(wanted, entry.platform);
    if (distance !== undefined && distance < least) {
      best = entry;
      least = distance;
    }
  }
  return best;
}

/** 0 for the platform itself, more for each step back to an older one; undefined where it does not run. */
function rank(wanted: Platform, have: Platform): number | undefined {
  const want = normalizePlatform(wanted);
  const got = normalizePlatform(have);
  if (want.os !== got.os) return undefined;
  const place = runnable(want).indexOf(formatPlatform({ ...got, os: "" }));
  return place < 0 ? undefined : place;
}

/** What the processors of a platform run, best first, as `/architecture[/variant]`. */
function runnable({ architecture, variant }: Platform): string[] {
  const own = `/${architecture}${variant === undefined ? "" : `/${variant}`}`;
  if (architecture === "amd64") {
    const level = Number(/^v(\d)$/.exec(variant ?? "v1")?.[1] ?? Number.NaN);
    if (Number.isNaN(level)) return [own];
    return [...older(level, 2).map((v) => `/amd64/v${v}`), "/amd64", "/386"];
  }
  if (architecture === "arm") return armFrom(own, variant);
  if (architecture === "arm64") {
    const [, major, minor = "0"] = /^v([89])(?:\.(\d+))?$/.exec(variant ?? "v8") ?? [];
    if (major === undefined) return [own];
    // Armv9.n has what Armv8.(n+5) has.
    const nine = major === "9" ? older(Number(minor), 1).map((v) => `/arm64/v9.${v}`) : [];
    if (major === "9") nine.push("/arm64/v9");
    const eight = older(major === "9" ? Math.min(Number(minor) + 5, 9) : Number(minor), 1);
    return [...nine, ...eight.map((v) => `/arm64/v8.${v}`), "/arm64", ...armFrom("/arm/v8", "v8")];
  }
  return [own];
}

function armFrom(own: string, variant: string | undefined): string[] {
  const version = Number(/^v([5-8])$/.exec(variant ?? "")?.[1] ?? Number.NaN);
  return Number.isNaN(version) ? [own] : older(version, 5).map((v) => `/arm/v${v}`);
}

/** `from` down to `to`, both included; empty where `from` is the lower. */
function older(from: number, to: number): number[] {
  return Array.from({ length: Math.max(from - to + 1, 0) }, (_, step) => from - step);
}
