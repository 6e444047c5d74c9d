import { rmSync } from "node:fs";
import type { Bench } from "../Bench.ts";
import type { Contender } from "../measure.ts";

/** Every tool builds with the host's network: the peers here have no bridge. */
const buildFlags = {
  docker: ["build", "--network", "host"],
  buildah: ["bud", "--layers", "--network", "host", "--isolation", "oci"],
  podman: ["build", "--layers", "--network", "host", "--isolation", "oci"],
};

export interface BuildOptions {
  /** For every tool. */
  flags?: string[];
  /** `kept`: everything is in the cache. `empty`: nothing is, but the base image. */
  cache?: "kept" | "empty";
  /** Before each run of each tool. */
  prepare?: () => void;
}

/** A build of `bench.folder` by every tool. */
export function buildContenders(bench: Bench, tag: string, options: BuildOptions = {}): Contender[] {
  const { slipway, peers, must, may } = bench;
  const { flags = [], cache = "kept", prepare } = options;
  const rest = ["-t", tag, ...flags, bench.folder];
  const contender = (name: string, command: string[], forget: () => void): Contender => ({
    name,
    command: [...command, ...rest],
    ...(name === "slipway" ? { env: slipway.env } : {}),
    prepare() {
      if (cache === "empty") forget();
      prepare?.();
    },
  });
  const own = contender("slipway", [...slipway.command, "build", "--network", "host"], () => {
    rmSync(slipway.env.SLIPWAY_ROOT as string, { recursive: true, force: true });
    must([...slipway.command, "pull", "busybox"], slipway.env);
  });
  if (peers === undefined) return [own];
  const { docker, buildah, podman } = peers;
  return [
    own,
    contender("docker", [...docker, ...buildFlags.docker], () => {
      may([...docker, "rmi", "-f", tag]);
      must([...docker, "builder", "prune", "-af"]);
    }),
    contender("buildah", [...buildah, ...buildFlags.buildah], () => {
      may([...buildah, "rmi", "-f", tag]);
      may([...buildah, "rmi", "--prune"]);
    }),
    contender("podman", [...podman, ...buildFlags.podman], () => {
      may([...podman, "rmi", "-f", tag]);
      may([...podman, "image", "prune", "-f"]);
    }),
  ];
}
