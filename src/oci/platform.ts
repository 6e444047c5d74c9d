import { SlipwayError } from "./SlipwayError.ts";

/** image-spec, image-index.md "platform". Empty parts are absent. */
export interface Platform {
  os: string;
  architecture: string;
  variant?: string;
  "os.version"?: string;
  "os.features"?: string[];
}

const osForm = "^([A-Za-z0-9_-]+)(?:\\(([A-Za-z0-9_.%-]*)((?:\\+[A-Za-z0-9_.%-]+)*)\\))?$";
const partForm = "^[A-Za-z0-9_.-]+$";
const knownSystems =
  "aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris windows zos";
const knownArchitectures =
  "386 amd64 amd64p32 arm armbe arm64 arm64be ppc64 ppc64le loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le ppc riscv riscv64 s390 s390x sparc sparc64 wasm";

/** The platform of the machine that this process runs on. */
export function hostPlatform(): Platform {
  const { platform: os, arch } = process;
  return normalizePlatform({ os, architecture: arch === "x64" ? "amd64" : arch === "ia32" ? "386" : arch });
}

/**
 * Reads containerd's specifier, `os[(version+feature+…)][/architecture[/variant]]` or an architecture alone; what is left out is the
 * host's. System and architecture come in Go's spelling, but a variant that was written stays, even the usual one: `normalizePlatform`
 * drops that.
 * @throws SlipwayError `INVALID_PLATFORM`, in containerd's words
 */
export function parsePlatform(text: string): Platform {
  const [first = "", ...rest] = text.split("/");
  const parts = new RegExp(osForm).exec(first);
  if (parts === null) throw wrongPart(`${quote(first)} is an invalid OS component`, text, "OSAndVersion", osForm);
  for (const part of rest)
    if (!new RegExp(partForm).test(part))
      throw wrongPart(`${quote(part)} is an invalid component`, text, "platform", partForm);
  const [, system = "", version = "", features = ""] = parts;
  const options: Pick<Platform, "os.version" | "os.features"> = {};
  if (version !== "") options["os.version"] = decodeOption(version, text);
  if (features !== "")
    options["os.features"] = features
      .slice(1)
      .split("+")
      .map((feature) => decodeOption(feature, text));
  const [architecture, variant] = rest;
  if (rest.length > 2) throw invalid(`${quote(text)}: cannot parse platform specifier`);
  if (architecture === undefined) return completed(text, normalOs(system), options);
  const written = normalArchitecture(architecture, variant ?? "");
  if (variant === undefined && written.architecture === "arm" && written.variant === "v7") delete written.variant;
  if (variant !== undefined && written.architecture === "arm64") written.variant ??= "v8";
  return { os: normalOs(system), ...written, ...options };
}

/** `os/architecture[/variant]`, as given, without version and features of the system. */
export function formatPlatform({ os, architecture, variant }: Platform): string {
  return os === "" ? "unknown" : [os, architecture, variant].filter((part) => part).join("/");
}

/** As `formatPlatform`, with version and features of the system in parentheses: what `parsePlatform` reads back. */
export function formatFullPlatform(platform: Platform): string {
  const features = (platform["os.features"] ?? []).filter((feature) => feature !== "").toSorted();
  const options = [platform["os.version"] ?? "", ...features].map(encodeOption).join("+");
  return platform.os === "" || options === ""
    ? formatPlatform(platform)
    : formatPlatform({ ...platform, os: `${platform.os}(${options})` });
}

/** One value for each platform: lower case, Go's architecture names, no variant where it is the usual one (amd64/v1, arm64/v8), features sorted. */
export function normalizePlatform(platform: Platform): Platform {
  const { os, architecture, variant = "", ...rest } = platform;
  const features = rest["os.features"];
  if (features !== undefined) rest["os.features"] = [...new Set(features)].sort();
  return { ...rest, os: normalOs(os), ...normalArchitecture(architecture, variant) };
}

/** The platform and its text that an index gets for an image that was built for `requested`: Windows versions come from the base. */
export function exportPlatform(requested: Platform, image: Platform): { id: string; platform: Platform } {
  if (requested.os !== "windows") {
    const platform = normalizePlatform(requested);
    return { id: formatFullPlatform(platform), platform };
  }
  const extended = { ...requested };
  if (image.os === requested.os) {
    if (image["os.version"]) extended["os.version"] ||= image["os.version"];
    if (image["os.features"]?.length) extended["os.features"] ??= image["os.features"];
  }
  return { id: formatFullPlatform(requested), platform: normalizePlatform(extended) };
}

/** A specifier of one part: a system, or else an architecture, that is known. */
function completed(text: string, os: string, options: Partial<Platform>): Platform {
  const host = hostPlatform();
  if (knownSystems.split(" ").includes(os)) {
    const { architecture, variant } = host;
    const told = architecture === "arm" && variant !== "v7" && variant !== undefined ? { variant } : {};
    return { os, architecture, ...told, ...options };
  }
  const written = normalArchitecture(text, "");
  if (!knownArchitectures.split(" ").includes(written.architecture))
    throw invalid(`${quote(text)}: unknown operating system or architecture`);
  if (written.variant === "v7") delete written.variant;
  return { os: host.os, ...written, ...options };
}

function normalOs(os: string): string {
  return os.toLowerCase().replace(/^macos$/, "darwin");
}

function normalArchitecture(given: string, givenVariant: string): Pick<Platform, "architecture" | "variant"> {
  const architecture = given.toLowerCase();
  const variant = givenVariant.toLowerCase();
  switch (architecture) {
    case "i386":
      return { architecture: "386" };
    case "x86_64":
    case "x86-64":
    case "amd64":
      return withVariant("amd64", variant === "v1" ? "" : variant);
    case "aarch64":
    case "arm64":
      return withVariant("arm64", variant.replace(/^v?8(?:\.0)?$/, "").replace(/^v?9(?:\.0)?$/, "v9"));
    case "armhf":
      return withVariant("arm", "v7");
    case "armel":
      return withVariant("arm", "v6");
    case "arm":
      return withVariant("arm", variant === "" ? "v7" : variant.replace(/^[5-8]$/, "v$&"));
    default:
      return withVariant(architecture, variant);
  }
}

function withVariant(architecture: string, variant: string): Pick<Platform, "architecture" | "variant"> {
  return variant === "" ? { architecture } : { architecture, variant };
}

/** What would be read as part of the specifier is written as in a URL. */
function encodeOption(text: string): string {
  return text.replace(/[%+()/]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

function decodeOption(text: string, whole: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    if (!(cause instanceof URIError)) throw cause;
    throw invalid(`${quote(whole)} has an invalid OS version or feature ${quote(text)}`);
  }
}

function wrongPart(what: string, text: string, kind: string, form: string): SlipwayError {
  return invalid(`${what} of ${quote(text)}: ${kind} specifier component must match ${quote(form)}`);
}

function quote(text: string): string {
  return JSON.stringify(text);
}

function invalid(message: string): SlipwayError {
  return new SlipwayError("INVALID_PLATFORM", `${message}: invalid argument`, {
    hint: "A platform is OS/ARCHITECTURE[/VARIANT], such as linux/amd64 or linux/arm/v7.",
  });
}
