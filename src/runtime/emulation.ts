import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { O_NONBLOCK, O_RDONLY, RESOLVE_IN_ROOT, S_IFMT, S_IFREG } from "../linux/constants.ts";
import type { Linux } from "../linux/Linux.ts";
import { isErrno } from "../linux/LinuxError.ts";
import { formatFullPlatform, hostPlatform, type Platform } from "../oci/platform.ts";
import { matchesPlatform } from "../oci/platformMatch.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";

/** Where the kernel tells of the interpreters for programs that it cannot run itself (its documentation, admin-guide/binfmt-misc). */
const BINFMT = "/proc/sys/fs/binfmt_misc";

/** QEMU's name, and what an ELF header says: 64 bits, big-endian, e_machine. */
const machines: Record<string, { qemu: string; wide: boolean; big: boolean; machine: number }> = {
  amd64: { qemu: "x86_64", wide: true, big: false, machine: 62 },
  "386": { qemu: "i386", wide: false, big: false, machine: 3 },
  arm64: { qemu: "aarch64", wide: true, big: false, machine: 183 },
  arm: { qemu: "arm", wide: false, big: false, machine: 40 },
  riscv64: { qemu: "riscv64", wide: true, big: false, machine: 243 },
  ppc64le: { qemu: "ppc64le", wide: true, big: false, machine: 21 },
  s390x: { qemu: "s390x", wide: true, big: true, machine: 22 },
  loong64: { qemu: "loongarch64", wide: true, big: false, machine: 258 },
  mips64le: { qemu: "mips64el", wide: true, big: false, machine: 8 },
  mips64: { qemu: "mips64", wide: true, big: true, machine: 8 },
  mipsle: { qemu: "mipsel", wide: false, big: false, machine: 8 },
  mips: { qemu: "mips", wide: false, big: true, machine: 8 },
};

/** An interpreter that the kernel starts in place of programs of the platform. `fixed`: it was opened when it was registered (flag F), so that it need not be in the image. */
export interface Emulator {
  name: string;
  interpreter: string;
  fixed: boolean;
}

/** The enabled emulator for the platform; undefined where there is none, or where nothing tells. One that is fixed comes first. */
export function findEmulator({ architecture }: Platform, directory = BINFMT): Emulator | undefined {
  const header = headerOf(architecture);
  if (header === undefined) return undefined;
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return undefined; // not mounted, or no such thing in this kernel
  }
  const found = names
    .filter((name) => name !== "register" && name !== "status")
    .flatMap((name) => {
      const entry = readEntry(name, readFileSync(`${directory}/${name}`, "latin1"));
      return entry !== undefined && takes(entry, header) ? [entry] : [];
    });
  return found.find(({ fixed }) => fixed) ?? found[0];
}

/** So many scripts may name one another as interpreters. */
const SCRIPTS = 4;
/** Of a file: its header, or the line that names its interpreter. */
const HEAD = 256;

/**
 * Looks at the program that a container of another platform's image starts with: where it is built for processors that this machine neither is nor
 * has an emulator for, the kernel would refuse it without a reason. What cannot be found is left to the runtime, and images that only say they were
 * of another platform pass. @throws SlipwayError `NOT_EXECUTABLE`
 */
export function checkForeign(
  linux: Linux,
  root: number,
  { args, env, cwd }: { args: readonly string[]; env: readonly string[]; cwd: string },
  { directory = BINFMT }: { directory?: string } = {},
): void {
  const own = hostPlatform();
  const architecture = architectureOf(linux, root, candidates(args[0] ?? "", env, cwd));
  if (architecture === undefined || matchesPlatform(own, { os: "linux", architecture })) return;
  const emulator = findEmulator({ os: "linux", architecture }, directory);
  if (emulator?.fixed === true) return;
  if (!existsSync(`${directory}/status`) && executes(architecture)) return;
  if (emulator !== undefined && head(linux, root, emulator.interpreter) !== undefined) return;
  const qemu = machines[architecture]?.qemu ?? architecture;
  throw new SlipwayError(
    "NOT_EXECUTABLE",
    `exec: ${JSON.stringify(args[0])}: exec format error: this machine (${formatFullPlatform(own)}) cannot run programs for linux/${architecture}`,
    {
      hint:
        emulator === undefined
          ? `It takes an emulator: qemu-${qemu}, registered with binfmt_misc and the flag F, as the package qemu-user-static does it (apt-get install qemu-user-static, dnf install qemu-user-static). COPY, ENV and their kin need none.`
          : `${emulator.name} is registered without the flag F, so that ${emulator.interpreter} is looked for in the image. The package qemu-user-static registers it with F.`,
      exitCode: 126,
    },
  );
}

/** Where the kernel's list is not to be seen, as in a container, it may have an emulator all the same: then it takes a header that holds no program. */
function executes(architecture: string): boolean {
  const folder = mkdtempSync(join(tmpdir(), "slipway-"));
  try {
    const file = join(folder, "program");
    writeFileSync(file, Buffer.concat([headerOf(architecture) ?? Buffer.alloc(0), Buffer.alloc(100)]), { mode: 0o700 });
    Bun.spawnSync([file], { stdio: ["ignore", "ignore", "ignore"] });
    return true;
  } catch (error) {
    if (["ENOEXEC", "EACCES"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Where the program may lie, as execvp looks for it. */
function candidates(program: string, env: readonly string[], cwd: string): string[] {
  if (program.startsWith("/")) return [program];
  if (program.includes("/")) return [join(cwd, program)];
  const path = env.findLast((entry) => entry.startsWith("PATH="))?.slice("PATH=".length) ?? "";
  return path.split(":").map((folder) => join("/", folder, program));
}

/** Of the first of the files that is there, or of the interpreter that it names. */
function architectureOf(linux: Linux, root: number, files: readonly string[], depth = 0): string | undefined {
  for (const file of files) {
    const start = head(linux, root, file);
    if (start === undefined) continue;
    const script = /^#![ \t]*([^ \t\n]+)/.exec(start.toString("latin1"))?.[1];
    if (script !== undefined) return depth < SCRIPTS ? architectureOf(linux, root, [script], depth + 1) : undefined;
    return Object.keys(machines).find((architecture) => {
      const wanted = headerOf(architecture);
      // Class, byte order and machine; the other bytes may be what they like.
      return wanted !== undefined && [0, 1, 2, 3, 4, 5, 18, 19].every((at) => start[at] === wanted[at]);
    });
  }
  return undefined;
}

function head(linux: Linux, root: number, path: string): Buffer | undefined {
  let fd: number;
  try {
    fd = linux.openat2(root, path, { flags: O_RDONLY | O_NONBLOCK, resolve: RESOLVE_IN_ROOT });
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "EACCES", "ELOOP", "ENXIO")) return undefined;
    throw error;
  }
  try {
    if ((linux.statat(fd, "").mode & S_IFMT) !== S_IFREG) return undefined;
    const bytes = Buffer.alloc(HEAD);
    return bytes.subarray(0, linux.pread(fd, bytes, 0));
  } finally {
    linux.close(fd);
  }
}

interface Entry extends Emulator {
  magic: Buffer;
  mask: Buffer | undefined;
}

function readEntry(name: string, text: string): Entry | undefined {
  const lines = text.split("\n");
  const value = (key: string): string | undefined =>
    lines.find((line) => line.startsWith(`${key} `))?.slice(key.length + 1);
  const [magic, mask, interpreter] = [value("magic"), value("mask"), value("interpreter")];
  if (lines[0] !== "enabled" || magic === undefined || interpreter === undefined || value("offset") !== "0")
    return undefined;
  return {
    name,
    interpreter,
    fixed: /^flags: ?\S*F/m.test(text),
    magic: Buffer.from(magic, "hex"),
    mask: mask === undefined ? undefined : Buffer.from(mask, "hex"),
  };
}

function takes({ magic, mask }: Entry, header: Buffer): boolean {
  if (magic.length > header.length) return false;
  return magic.every((byte, i) => {
    const bits = mask?.[i] ?? 0xff;
    return ((header[i] as number) & bits) === (byte & bits);
  });
}

/** The first bytes of an executable (ELF, gABI "ELF Header"). */
function headerOf(architecture: string): Buffer | undefined {
  const found = machines[architecture];
  if (found === undefined) return undefined;
  const header = Buffer.alloc(20);
  header.write("\x7fELF", "latin1");
  header[4] = found.wide ? 2 : 1;
  header[5] = found.big ? 2 : 1;
  header[6] = 1;
  const executable = 2;
  if (found.big) {
    header.writeUInt16BE(executable, 16);
    header.writeUInt16BE(found.machine, 18);
  } else {
    header.writeUInt16LE(executable, 16);
    header.writeUInt16LE(found.machine, 18);
  }
  return header;
}
