import { closeSync, existsSync, mkdirSync, openSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { AT_FDCWD, CLONE_FS, CLONE_NEWNS, MNT_DETACH, O_RDONLY } from "../linux/constants.ts";
import type { Linux } from "../linux/Linux.ts";
import { inUserNamespace, mappedIds } from "../linux/userNamespace.ts";
import { readBootId } from "../store/leases.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import type { Settings } from "../store/Store.ts";
import { containerCapabilities, ownCapabilities } from "./capabilities.ts";
import { compiledSeccomp, keepCompiledSeccomp } from "./compiledSeccomp.ts";
import type { Seccomp } from "./OciSpec.ts";
import type { SeccompOptions } from "./seccompOptions.ts";
import { enterMountNamespace } from "./MountNamespace.ts";
import type { Runtime } from "./Runtime.ts";
import { runDirectory, runtimeGlobals, runtimeStateDirectory } from "./runtimeCommand.ts";
import { runtimeMessage } from "./runtimeFailure.ts";
import { DEFAULT_SHM_SIZE, rootlessSpec, runtimeSpec } from "./spec.ts";
import { findProgram } from "./findProgram.ts";
import { ownedName } from "./ownedName.ts";
import { sealedProgram } from "./sealedProgram.ts";
import { sweepOwned } from "./sweepOwned.ts";
import { startByFifo } from "./startByFifo.ts";
import { readOr } from "./readOr.ts";

const WORD = "probe-works";
const PROGRAM_PLACES = ["/bin", "/lib", "/lib64", "/usr", "/nix"];
const PATIENCE_MS = 60_000; // a start takes tens of milliseconds, but seconds on an emulated machine that is coming up

/**
 * The OCI runtime that works on this host and how: each is tried with a container that prints a word, crun before runc, the plain way before
 * the roundabout one. What was found is kept in `settings` until the programs change or the host starts anew.
 * @throws SlipwayError `RUNTIME_MISSING`, `RUNTIME_UNUSABLE`
 */
export async function probeRuntime(
  linux: Linux,
  settings: Pick<Settings, "get" | "set">,
  options: { runtime?: string | undefined } = {},
): Promise<Runtime> {
  const candidates = (options.runtime === undefined ? ["crun", "runc"] : [options.runtime]).flatMap((name) => {
    const path = findProgram(name);
    return path === undefined ? [] : [path];
  });
  if (candidates.length === 0) {
    const named =
      options.runtime === undefined ? "neither crun nor runc is installed" : `${options.runtime} is not there`;
    throw new SlipwayError("RUNTIME_MISSING", `no OCI runtime: ${named}`, {
      hint: "Install one: apt-get install crun conmon",
      exitCode: 125,
    });
  }
  sweepOwned(); // this is the way of all who run something
  const key = probeKey(candidates);
  const known = settings.get(key);
  if (known !== undefined) {
    const runtime = JSON.parse(known) as Omit<Runtime, "program">;
    return { ...runtime, program: sealedProgram(linux, runtime.path) };
  }
  const refusals: string[] = [];
  for (const path of candidates) {
    for (const way of waysOf(path)) {
      const result = await tryRuntime(linux, {
        ...way,
        path,
        program: sealedProgram(linux, path),
        name: basename(path),
        version: "",
        startByFifo: false,
        compiledSeccomp: false,
      });
      if (typeof result === "string") refusals.push(`${basename(path)}: ${result}`);
      else {
        const { program, ...lasting } = result;
        settings.set(key, JSON.stringify(lasting));
        return result;
      }
    }
  }
  throw new SlipwayError("RUNTIME_UNUSABLE", `no OCI runtime works on this host (${refusals.join("; ")})`, {
    hint: "Containers need root, or a host that lets this user make namespaces.",
    exitCode: 125,
  });
}

/** Everything on which the answer depends. */
function probeKey(candidates: string[]): string {
  const programs = candidates.map((path) => {
    const stat = statSync(path);
    return `${path} ${stat.mtimeMs} ${stat.size}`;
  });
  const boot = readBootId();
  const user = inUserNamespace() ? mappedIds().map(({ outside, length }) => `${outside}+${length}`) : [];
  return ["runtime 5", boot, String(process.getuid?.()), ...user, ...programs].join(" "); // 5: form of the record, and what is asked
}

function waysOf(path: string): Pick<Runtime, "cgroups" | "cgroupView">[] {
  const asIs = { cgroups: true, cgroupView: false };
  // Root of a user namespace owns no control groups. Runtimes pass over that without a word, and over limits with it: we make none, and say so.
  if (inUserNamespace()) return [false, true].map((cgroupView) => ({ cgroups: false, cgroupView }));
  if (basename(path) !== "crun") return [asIs];
  return [asIs, { cgroups: false, cgroupView: true }];
}

/** The runtime with what was found out, or why it does not work. */
async function tryRuntime(linux: Linux, runtime: Runtime): Promise<Runtime | string> {
  const cwd = process.cwd();
  const before = linux.openat(AT_FDCWD, "/proc/thread-self/ns/mnt", O_RDONLY);
  try {
    enterMountNamespace(linux, runtime);
    const capabilities = containerCapabilities({ add: [], drop: [], privileged: false, available: ownCapabilities() });
    const confinement: SeccompOptions = { arch: process.arch, capabilities, deviceCgroup: false };
    const { defaultSeccomp } = await import("./seccomp.ts");
    const first = await runProbe(linux, runtime, confinement, defaultSeccomp(confinement));
    if (typeof first === "string") return first;
    if (!runtime.cgroups && !inUserNamespace() && !/ \/ \S+ \S*\bnodev\b/.test(first.output))
      return "it does not keep an image's devices closed";
    const found: Runtime = { ...runtime, startByFifo: first.byFifo, version: await versionOf(runtime.path) };
    const filter = compiledSeccomp({ ...found, compiledSeccomp: true }, confinement);
    if (filter === undefined) return found;
    const second = await runProbe(linux, found, confinement, filter);
    return { ...found, compiledSeccomp: typeof second !== "string" && second.output.includes("Seccomp: 2") };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    linux.unshare(CLONE_FS); // threads that began since share our root and cwd, which setns(2) refuses
    linux.setns(before, CLONE_NEWNS);
    linux.close(before);
    process.chdir(cwd); // setns(2) leaves us at the namespace's root
  }
}

/** One container from create to delete: what it printed and how it could be started, or why it could not. */
async function runProbe(
  linux: Linux,
  runtime: Runtime,
  confinement: SeccompOptions,
  seccomp: Seccomp | string,
): Promise<{ output: string; byFifo: boolean } | string> {
  const id = ownedName("probe");
  const directory = `${runDirectory()}/${id}`;
  const rootfs = `${directory}/rootfs`;
  mkdirSync(rootfs, { recursive: true, mode: 0o700 });
  // A mount of our own, as every container's root is: of the host's, root of a user namespace can change no flag, and /run/user/UID has some.
  linux.mount("tmpfs", rootfs, "tmpfs", 0, "mode=0755");
  const command = [runtime.program, ...runtimeGlobals(runtime)];
  const quiet = { stdin: "ignore", stdout: "ignore", stderr: "ignore", timeout: PATIENCE_MS } as const;
  const log = `${directory}/log`;
  const outputPath = `${directory}/output`;
  const output = openSync(outputPath, "w");
  try {
    const spec = probeSpec(runtime, rootfs, confinement.capabilities, seccomp);
    writeFileSync(`${directory}/config.json`, JSON.stringify(spec));
    const create = Bun.spawn([...command, "--log", log, "--log-format", "json", "create", "--bundle", directory, id], {
      ...quiet,
      cwd: directory,
      stdout: output,
      stderr: output,
    });
    if ((await create.exited) !== 0) {
      return runtimeMessage(readOr(log) + readOr(outputPath)) ?? `create ended with ${create.exitCode}`;
    }
    const state = runtimeStateDirectory(runtime, id);
    keepCompiledSeccomp(runtime, confinement, state);
    const byFifo = startByFifo(state) && (await printed(outputPath, PATIENCE_MS));
    if (!byFifo) {
      const start = Bun.spawn([...command, "start", id], quiet);
      if ((await start.exited) !== 0 || !(await printed(outputPath, PATIENCE_MS))) {
        return runtimeMessage(readOr(outputPath)) ?? "a container starts but does not run";
      }
    }
    return { output: readOr(outputPath), byFifo };
  } finally {
    closeSync(output);
    await Bun.spawn([...command, "delete", "--force", id], quiet).exited;
    removeLeftGroups(id);
    linux.umount(rootfs, MNT_DETACH);
    rmSync(directory, { recursive: true, force: true });
  }
}

/** crun makes a group before it finds that it cannot work with the groups of this host, and knows nothing of it at `delete`. */
function removeLeftGroups(id: string): void {
  const { cgroupTrees, removeCgroup } = require("./cgroup.ts") as typeof import("./cgroup.ts");
  const { v1, v2 } = cgroupTrees();
  removeCgroup([...(v2 === undefined ? [] : [v2.mount]), ...v1.values()].map((mount) => `${mount}/${id}`));
}

function probeSpec(runtime: Runtime, rootfs: string, capabilities: string[], seccomp: Seccomp | string): unknown {
  return runtimeSpec({
    process: {
      args: [
        "/bin/sh",
        "-c",
        `for f in status mounts; do while read line; do echo $line; done </proc/self/$f; done; echo ${WORD}`,
      ],
      env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
      cwd: "/",
      user: { uid: 0, gid: 0, additionalGids: [] },
      terminal: false,
    },
    rootfs,
    readOnlyRoot: true,
    hostname: "probe",
    // The host's own programs, read-only: the one program that every host has is its shell.
    mounts: PROGRAM_PLACES.filter(existsSync).map((path) => ({
      target: path,
      type: "bind",
      source: path,
      readOnly: true,
    })),
    network: "host",
    capabilities,
    privileged: false,
    seccomp,
    noNewPrivileges: false,
    shmSize: DEFAULT_SHM_SIZE,
    cgroups: runtime.cgroups,
    cgroupMount: true,
    ...rootlessSpec(),
  });
}

async function printed(path: string, patienceMs: number): Promise<boolean> {
  for (const end = performance.now() + patienceMs; performance.now() < end; await Bun.sleep(2)) {
    if (readOr(path).includes(WORD)) return true;
  }
  return false;
}

async function versionOf(path: string): Promise<string> {
  const text = await new Response(Bun.spawn([path, "--version"], { stdin: "ignore", stderr: "ignore" }).stdout).text();
  return /version\s+(\S+)/.exec(text)?.[1] ?? "unknown";
}
