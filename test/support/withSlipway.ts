import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { StorageName } from "../../src/store/Snapshotter.ts";
import { MNT_DETACH, MS_NODEV, MS_NOSUID } from "../../src/linux/constants.ts";
import { createLinux } from "../../src/linux/createLinux.ts";
import { startHub } from "./hub.ts";
import { type TerminalSession, withTerminal } from "./terminal.ts";

export const repository = resolve(import.meta.dir, "../..");
export const slipwayPath = process.env.SLIPWAY_BIN ?? join(repository, "dist", "slipway");

const linux = createLinux();

export interface Ran {
  exitCode: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  input?: string | Uint8Array;
  env?: Record<string, string>;
  cwd?: string;
  /** Exit code that is asked for: anything else throws with both outputs. `any` takes all. */
  exit?: number | "any";
}

/** The executable, with a store of its own. */
export interface Slipway {
  /** $SLIPWAY_ROOT. */
  readonly root: string;
  /** An empty folder for build contexts and the like. */
  readonly directory: string;
  /** Registry that answers for docker.io. */
  readonly hub: { url: string; host: string };
  readonly env: Record<string, string>;
  /** Resolves when the process has ended and both outputs are read. */
  run(args: string[], options?: RunOptions): Promise<Ran>;
  /** Trimmed standard output of a command that must succeed. */
  text(...args: string[]): Promise<string>;
  terminal<T>(args: string[], work: (session: TerminalSession) => Promise<T>): Promise<T>;
}

/** Who calls slipway, when it is not the test's own root. See rungs.ts. */
export interface Caller {
  uid: number;
  gid: number;
  /** Before the program: what drops into the user, takes capabilities away. */
  prefix: string[];
  env: Record<string, string>;
}

/**
 * Runs `work` with dist/slipway on an empty store, whose docker.io is a loopback registry (see hub.ts). Afterwards its containers are
 * removed, the registry is ended and the store deleted.
 */
export async function withSlipway(
  work: (slipway: Slipway) => Promise<void>,
  options: { debian?: boolean; caller?: Caller; storage?: StorageName } = {},
): Promise<void> {
  const { caller } = options;
  const hub = await startHub(options);
  const base = mkdtempSync(join(storeParent(), "slipway-e2e-"));
  const root = join(base, "store");
  const directory = join(base, "work");
  mkdirSync(directory);
  const config = join(base, "config.json");
  writeFileSync(config, JSON.stringify({ registries: { "docker.io": { mirrors: [hub.url] } } }));
  const env = {
    PATH: process.env.PATH ?? "/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: base,
    LANG: "C.UTF-8",
    ...(caller === undefined ? {} : { XDG_RUNTIME_DIR: join(base, "run") }),
    SLIPWAY_ROOT: root,
    SLIPWAY_CONFIG: config,
    ...(options.storage === undefined ? {} : { SLIPWAY_STORAGE: options.storage }),
    ...caller?.env,
  };
  const program = caller === undefined ? [slipwayPath] : [...caller.prefix, join(base, "slipway")];
  if (caller !== undefined) giveTo(caller, base);

  const slipway: Slipway = {
    root,
    directory,
    hub,
    env,
    async run(args, { input, env: more, cwd = directory, exit = 0 } = {}) {
      const child = Bun.spawn([...program, ...args], {
        cwd,
        env: { ...env, ...more },
        stdin: input === undefined ? "ignore" : new Blob([input as string]),
        stdout: "pipe",
        stderr: "pipe",
      });
      const [stdout, stderr, exitCode] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
        child.exited,
      ]);
      if (exit !== "any" && exitCode !== exit)
        throw new Error(
          `slipway ${args.join(" ")} ended with ${exitCode}, not ${exit}\n${stdout.slice(-3000)}\n${stderr.slice(-3000)}`,
        );
      return { exitCode, stdout, stderr };
    },
    text: async (...args) => (await slipway.run(args)).stdout.trim(),
    terminal: (args, session) => withTerminal([...program, ...args], { env, cwd: directory }, session),
  };

  try {
    await work(slipway);
  } finally {
    await removeContainers(slipway);
    if (caller !== undefined) {
      endNamespace(join(base, "run"));
      linux.umount(join(base, "run"), MNT_DETACH);
    }
    await hub.stop();
    assertNothingMounted(base);
    rmSync(base, { recursive: true, force: true });
  }
}

/** All of `base`, and a slipway in it that anybody may run: the one of the repository may lie where another user does not come. */
function giveTo({ uid, gid }: Caller, base: string): void {
  const run = join(base, "run");
  mkdirSync(run);
  // As logind makes it: root of a user namespace cannot take these flags off.
  linux.mount("tmpfs", run, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700");
  for (const name of readdirSync(base)) chownSync(join(base, name), uid, gid);
  chownSync(base, uid, gid);
  copyFileSync(slipwayPath, join(base, "slipway"));
  chmodSync(join(base, "slipway"), 0o755);
}

/** Nobody else would ever end the processes that keep a user's namespace, and lead out of its network. */
export function endNamespace(run: string): void {
  for (const name of ["slipway/network/way-out", "slipway/namespace"]) {
    const file = join(run, name);
    if (!existsSync(file)) continue;
    try {
      process.kill((JSON.parse(readFileSync(file, "utf8")) as { pid: number }).pid, "SIGKILL");
    } catch {
      // ended before
    }
  }
}

async function removeContainers(slipway: Slipway): Promise<void> {
  const { stdout } = await slipway.run(["ps", "-aq"], { exit: "any" });
  const ids = stdout.split("\n").filter((id) => id !== "");
  if (ids.length > 0) await slipway.run(["rm", "-f", ...ids], { exit: "any" });
  await slipway.run(["network", "prune", "-f"], { exit: "any" }); // a network's device is the host's, not the store's
}

/** Deleting below a mount would reach into what is mounted there. */
function assertNothingMounted(base: string): void {
  const mounts = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((target) => target.startsWith(`${base}/`));
  if (mounts.length > 0) throw new Error(`still mounted after the test: ${mounts.join(" ")}`);
}

/** A place whose file system can hold the upper directory of an overlay: another overlay cannot, as the root of a container often is one. */
function storeParent(): string {
  const overlayMagic = 0x794c7630;
  return statfsSync(tmpdir()).type === overlayMagic ? "/dev/shm" : tmpdir();
}

/** Why end-to-end tests cannot run here; undefined when they can. */
export function cannotRun(): string | undefined {
  return process.getuid?.() === 0 ? undefined : "needs root, for mounts and namespaces";
}
