import { readdirSync, readFileSync } from "node:fs";
import { formatFullPlatform, hostPlatform, type Platform } from "../oci/platform.ts";
import { matchesPlatform } from "../oci/platformMatch.ts";
import { isSlipwayError, SlipwayError } from "../oci/SlipwayError.ts";

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

/**
 * What a program that could not be executed comes to: where it is one of another platform's, which this machine has no emulator for, the error
 * says what to install. Others come back as they are.
 */
export function explainForeign(error: unknown, platform: Platform | undefined): unknown {
  if (!isSlipwayError(error, "NOT_EXECUTABLE") || !error.message.endsWith("exec format error")) return error;
  const own = hostPlatform();
  if (platform === undefined || matchesPlatform(own, platform)) return error;
  const name = formatFullPlatform(platform);
  const emulator = findEmulator(platform);
  const qemu = machines[platform.architecture]?.qemu ?? platform.architecture;
  const hint =
    emulator === undefined
      ? `It takes an emulator: qemu-${qemu} registered with binfmt_misc and the flag F, as the package qemu-user-static does it (Debian and Ubuntu: apt-get install qemu-user-static; Fedora: dnf install qemu-user-static).`
      : emulator.fixed
        ? `${emulator.name} is registered for it; the program itself may be damaged.`
        : `${emulator.name} is registered without the flag F, so that ${emulator.interpreter} is looked for in the image: the package qemu-user-static registers it with F.`;
  return new SlipwayError(
    error.code,
    `${error.message}: this machine (${formatFullPlatform(own)}) cannot run programs for ${name}`,
    {
      cause: error,
      hint,
      exitCode: error.exitCode,
      ...(error.range === undefined ? {} : { range: error.range }),
    },
  );
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
