import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { writeFiles } from "../../support/files.ts";
import type { Ran, RunOptions, Slipway } from "../../support/withSlipway.ts";

interface BuiltImage {
  config: { Env?: string[]; User?: string; WorkingDir?: string };
  /** `created_by`, the oldest first. */
  history: string[];
  /** Every layer as lines of {@link listing}; the base image is the first. */
  layers: string[][];
}

/** Builds `x` from this text with plain progress. */
export function build(slipway: Slipway, dockerfile: string, args: string[] = [], options?: RunOptions): Promise<Ran> {
  writeFiles(slipway.directory, { Dockerfile: dockerfile });
  return slipway.run(["build", "--progress", "plain", "-t", "x", ...args, "."], options);
}

/** Standard error of a build that fails with status 1. */
export async function refused(slipway: Slipway, dockerfile: string, ...args: string[]): Promise<string> {
  return (await build(slipway, dockerfile, args, { exit: 1 })).stderr;
}

/** What the build's steps printed, without the progress around it. */
export function printed({ stderr }: Ran): string[] {
  return stderr.split("\n").flatMap((line) => /^#\d+ \d+\.\d+ (.*)$/.exec(line)?.[1] ?? []);
}

export async function inspect(slipway: Slipway): Promise<BuiltImage> {
  const id = await slipway.text("image", "inspect", "--format", "{{.Id}}", "x");
  const stored = readFileSync(join(slipway.root, "blobs/sha256", id.replace("sha256:", "")), "utf8");
  const { config, history, rootfs } = JSON.parse(stored);
  return {
    config,
    history: history.map((entry: { created_by: string }) => entry.created_by),
    layers: rootfs.diff_ids.map((diffID: string) =>
      listing(join(slipway.root, "layers", diffID.replace("sha256:", ""), "fs")),
    ),
  };
}

/** `path mode uid:gid content` of everything below `root`, sorted: directories end in a slash, of a link its target, of others their type. */
function listing(root: string): string[] {
  const first = new Map<number, string>();
  return (readdirSync(root, { recursive: true }) as string[]).sort().map((path) => {
    const full = join(root, path);
    const stat = lstatSync(full);
    const what = (): string => {
      if (stat.isSymbolicLink()) return ` -> ${readlinkSync(full)}`;
      if (stat.isFIFO()) return " pipe";
      if (stat.isCharacterDevice()) return stat.rdev === 0 ? " removed" : " device";
      if (!stat.isFile()) return "";
      const linked = first.get(stat.ino);
      if (linked !== undefined) return ` = ${linked}`;
      first.set(stat.ino, path);
      return stat.size > 1000 ? ` ${stat.size} bytes` : ` ${JSON.stringify(readFileSync(full, "utf8"))}`;
    };
    const mode = (stat.mode & 0o7777).toString(8);
    return `${path}${stat.isDirectory() ? "/" : ""} ${mode} ${stat.uid}:${stat.gid}${what()}`;
  });
}
