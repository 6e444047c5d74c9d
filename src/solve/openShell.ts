import { copyFileSync, chmodSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { O_PATH, RESOLVE_IN_ROOT, S_IFMT, S_IFREG } from "../linux/constants.ts";
import type { Linux } from "../linux/Linux.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { DEFAULT_PATH } from "../runtime/containerEnvironment.ts";
import { findProgram } from "../runtime/findProgram.ts";
import { type RunStepOptions, runStep, type Terminal } from "../runtime/runStep.ts";
import type { SpecMount } from "../runtime/spec.ts";
import type { ReusableMount } from "./reusableMount.ts";

export interface ShellOptions extends Omit<RunStepOptions, "directory" | "rootfs" | "logs" | "terminal" | "process"> {
  root: ReusableMount;
  process: { env: string[]; cwd: string; user: string };
  terminal: Terminal;
  /** An empty directory of a lease at each call. */
  newDirectory(): string;
  /** Called right before the terminal is the shell's. */
  opening(shell: string): void;
}

/** In the order of what a person would rather have. */
const SHELLS = ["/bin/bash", "/bin/sh", "/bin/ash", "/busybox/sh"];
/** Where the host's static tools are shown in a file system that has no shell. */
const TOOLS = "/.slipway";

/**
 * Runs a shell in the root file system on the user's terminal until it is left: the image's own, else a static busybox of this host with its
 * applets, which is mounted and leaves nothing behind. @throws SlipwayError `NO_SHELL`, and what `runStep` throws
 */
export async function openShell(options: ShellOptions): Promise<void> {
  const { linux, root, newDirectory, opening, ...rest } = options;
  const run = (args: string[], mounts: SpecMount[], env: string[]): Promise<number> => {
    opening(args[0] as string);
    return runStep({
      ...rest,
      linux,
      rootfs: root.copy(),
      directory: newDirectory(),
      process: { ...options.process, env, args },
      mounts: [...options.mounts, ...mounts],
      logs: () => {},
    });
  };
  const rootfs = root.copy();
  const own = SHELLS.find((path) => isProgram(linux, rootfs, path));
  if (own !== undefined) {
    try {
      await run([own], [], options.process.env);
      return;
    } catch (error) {
      // A script or a program without its interpreter: it is there and cannot run.
      if (!(error instanceof SlipwayError) || !["EXECUTABLE_NOT_FOUND", "NOT_EXECUTABLE"].includes(error.code))
        throw error;
    }
  }
  const tools = staticTools(newDirectory);
  const mount: SpecMount = { target: TOOLS, type: "bind", source: tools, readOnly: true };
  const path = options.process.env.findLast((entry) => entry.startsWith("PATH=")) ?? DEFAULT_PATH;
  await run([`${TOOLS}/sh`], [mount], [...options.process.env, `${path}:${TOOLS}`]);
}

function isProgram(linux: Linux, rootfs: number, path: string): boolean {
  let fd: number;
  try {
    fd = linux.openat2(rootfs, path, { flags: O_PATH, resolve: RESOLVE_IN_ROOT });
  } catch {
    return false; // not there, or nothing that a path leads to
  }
  try {
    const { mode } = linux.statat(fd, "");
    return (mode & S_IFMT) === S_IFREG && (mode & 0o111) !== 0;
  } finally {
    linux.close(fd);
  }
}

/** A directory with a static busybox and a link for each of its applets. */
function staticTools(newDirectory: () => string): string {
  const busybox = findProgram("busybox");
  if (busybox === undefined || !isStatic(busybox)) {
    throw new SlipwayError("NO_SHELL", "the image has no shell, and this host has no static busybox to lend it", {
      hint: "Install one: apt-get install busybox-static",
    });
  }
  const directory = `${newDirectory()}/tools`;
  mkdirSync(directory, { mode: 0o755 });
  copyFileSync(busybox, `${directory}/busybox`);
  chmodSync(`${directory}/busybox`, 0o755);
  const { stdout } = Bun.spawnSync([busybox, "--list"], { stdin: "ignore", stderr: "ignore" });
  const applets = new Set(["sh", ...stdout.toString().split("\n")]);
  for (const applet of applets)
    if (/^[\w[][\w.-]*$/.test(applet) && applet !== "busybox") symlinkSync("busybox", `${directory}/${applet}`);
  return directory;
}

/** ELF without an interpreter (PT_INTERP): it runs where there are no libraries. */
function isStatic(file: string): boolean {
  const bytes = readFileSync(file);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 64 || view.getUint32(0) !== 0x7f454c46 || bytes[4] !== 2) return false;
  const little = bytes[5] === 1;
  const start = Number(view.getBigUint64(32, little));
  const size = view.getUint16(54, little);
  const count = view.getUint16(56, little);
  for (let n = 0; n < count && start + (n + 1) * size <= bytes.length; n++)
    if (view.getUint32(start + n * size, little) === 3) return false;
  return true;
}
