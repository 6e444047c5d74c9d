import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { busyboxImage } from "../../scripts/lib/busyboxImage.mjs";
import { type LoopbackRegistry, startRegistry } from "../../scripts/lib/loopbackRegistry.mjs";
import { pushImage } from "../../scripts/lib/pushImage.mjs";

/**
 * Starts a registry that stands in for Docker Hub: `library/alpine` and `library/busybox` are made of busybox-static, `library/debian` is this
 * machine's own release by mmdebstrap (under a minute when it is first asked for). Its data is kept in a cache folder between test runs.
 */
export async function startHub({ debian = false } = {}): Promise<LoopbackRegistry> {
  const folder = join(cacheFolder(), `hub-${recipe()}`);
  const registry = await startRegistry(folder);
  try {
    for (const name of ["library/alpine", "library/busybox"])
      await ensure(registry, name, "latest", async () => busyboxImage());
    if (debian) {
      for (const tag of ["latest", "bookworm"])
        await ensure(registry, "library/debian", tag, async () => ({
          layers: [await debianTar()],
          config: { Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], Cmd: ["bash"] },
          history: [{ created: "2024-01-01T00:00:00Z", created_by: "mmdebstrap --variant=minbase" }],
        }));
    }
    return registry;
  } catch (error) {
    await registry.stop();
    throw error;
  }
}

/** Changes with what the base images are made of, so that a kept registry never gives old ones. */
function recipe(): string {
  const made = new URL("../../scripts/lib/busyboxImage.mjs", import.meta.url);
  const busybox = statSync("/bin/busybox");
  return Bun.hash(`${readFileSync(made, "utf8")} ${busybox.size} ${busybox.mtimeMs}`).toString(36);
}

/** `$SLIPWAY_TEST_CACHE`, else a folder of the user's cache. */
export function cacheFolder(): string {
  const base = process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache");
  return process.env.SLIPWAY_TEST_CACHE ?? join(base, "slipway-test");
}

async function ensure(
  registry: LoopbackRegistry,
  name: string,
  tag: string,
  make: () => Promise<Parameters<typeof pushImage>[3]>,
): Promise<void> {
  const known = await fetch(`${registry.url}/v2/${name}/manifests/${tag}`, {
    method: "HEAD",
    headers: { accept: "application/vnd.oci.image.manifest.v1+json" },
  });
  if (!known.ok) await pushImage(registry.url, name, tag, await make());
}

/** A minimal Debian as one tar, with apt, without manuals and translations. */
async function debianTar(): Promise<Uint8Array> {
  const kept = join(cacheFolder(), "debian.tar");
  if (existsSync(kept)) return readFileSync(kept);
  mkdirSync(cacheFolder(), { recursive: true });
  const folder = mkdtempSync(join(tmpdir(), "slipway-debian-"));
  try {
    const path = join(folder, "debian.tar");
    const without = ["doc", "man", "locale"].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`);
    await mmdebstrap(["--variant=minbase", "--dpkgopt=force-unsafe-io", ...without], path);
    const bytes = readFileSync(path);
    await Bun.write(`${kept}.new`, bytes);
    renameSync(`${kept}.new`, kept);
    return bytes;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Makes a tar of Debian's packages. */
export async function mmdebstrap(options: readonly string[], path: string): Promise<void> {
  const { suite, mirror } = release();
  const child = Bun.spawn(
    [
      ...["mmdebstrap", "--quiet", "--keyring=/usr/share/keyrings/debian-archive-keyring.gpg"],
      // A mirror kept at a past date has Release files that are over their time.
      ...["--aptopt=Acquire::Check-Valid-Until false", "--aptopt=Acquire::Languages none"],
      ...[...options, suite, path, ...(mirror === undefined ? [] : [mirror])],
    ],
    { stdout: "ignore", stderr: "pipe", stdin: "ignore" },
  );
  const complaint = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`mmdebstrap failed:\n${complaint.slice(-2000)}`);
}

/** This machine's own Debian and mirror; bookworm from mmdebstrap's own default mirror on other systems. */
function release(): { suite: string; mirror?: string } {
  const system = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  if (!/^ID=debian$/m.test(system)) return { suite: "bookworm" };
  const suite = /^VERSION_CODENAME=(\w+)$/m.exec(system)?.[1] ?? "bookworm";
  const sources = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"]
    .filter((path) => existsSync(path))
    .map((path) => readFileSync(path, "utf8"))
    .join("\n");
  const mirror = /^(?:URIs:\s*|deb\s+(?:\[[^\]]*\]\s+)?)(https?:\S*\/debian)\/?(?:\s|$)/m.exec(sources)?.[1];
  return mirror === undefined ? { suite } : { suite, mirror };
}
