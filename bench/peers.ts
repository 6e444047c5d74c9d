import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

/** The other tools, in their own mount namespace, as `../shared/peers/peers-up.sh` brings them up. */
export interface Peers {
  /** Goes before a command: runs it beside the peers. */
  prefix: string[];
  docker: string[];
  buildah: string[];
  podman: string[];
  /** A folder that both sides see under the same path. */
  folder: string;
}

/** Undefined where they are not up. `$PEERS_LIB` names another `peers-lib.sh`. */
export function findPeers(): Peers | undefined {
  const library = process.env.PEERS_LIB ?? resolve(import.meta.dir, "../../shared/peers/peers-lib.sh");
  if (!existsSync(library)) return undefined;
  for (const suite of process.env.PEERS_SUITE === undefined ? ["trixie", "sid"] : [process.env.PEERS_SUITE]) {
    // The library's own `inns`, asked for the command that it would run: no shell stands between us and the peer when it counts.
    const script =
      'source "$1"; nsenter() { printf "%s\\0" nsenter "$@"; }; inns; printf "%s\\0" "" "$BUILDAH" "$PODMAN" "$PEERS"';
    const asked = Bun.spawnSync(["bash", "-c", script, "bash", library], {
      env: { ...process.env, PEERS_SUITE: suite },
    });
    const parts = asked.stdout.toString().split("\0");
    const end = parts.indexOf("");
    const prefix = parts.slice(0, end);
    const [buildah, podman, folder] = parts.slice(end + 1);
    if (buildah === undefined || podman === undefined || folder === undefined) continue;
    if (Bun.spawnSync([...prefix, "docker", "version"], { stdout: "ignore", stderr: "ignore" }).exitCode !== 0)
      continue;
    return {
      prefix,
      docker: [...prefix, "docker"],
      buildah: [...prefix, ...buildah.split(" ")],
      podman: [...prefix, ...podman.split(" ")],
      folder: join(folder, "bench"),
    };
  }
  return undefined;
}
