import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findEmulator } from "../../src/runtime/emulation.ts";
import { cacheFolder, mmdebstrap } from "./hub.ts";
import { sh } from "./shell.ts";

const BINFMT = "/proc/sys/fs/binfmt_misc";
const own = process.arch === "arm64" ? "arm64" : "amd64";

/** A platform that this machine is not. */
export const foreign = own === "amd64" ? "arm64" : "amd64";

const { qemu, machine } = foreign === "arm64" ? { qemu: "aarch64", machine: "b7" } : { qemu: "x86_64", machine: "3e" };

/**
 * Runs `work` with the path of Debian's busybox for the foreign platform, while QEMU for it is registered with the kernel as the package
 * qemu-user-static does it. Afterwards that is undone. Both are Debian's packages, unpacked and not installed (a minute when they are first asked for).
 */
export async function withEmulator(work: (busybox: string) => Promise<void>): Promise<void> {
  const folder = await unpacked();
  const mounted = !existsSync(`${BINFMT}/register`);
  if (mounted) sh("/", `mount -t binfmt_misc binfmt_misc ${BINFMT}`);
  const name = `slipway-test-${process.pid}`;
  const registers = findEmulator({ os: "linux", architecture: foreign })?.fixed !== true;
  try {
    if (registers) {
      const wild =
        "\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff";
      const magic = `\\x7fELF\\x02\\x01\\x01${"\\x00".repeat(9)}\\x02\\x00\\x${machine}\\x00`;
      // O, P, F: the file opened, its first argument kept, the emulator opened now.
      writeFileSync(`${BINFMT}/register`, `:${name}:M::${magic}:${wild}:${folder}/${qemu}-binfmt-P:OPF`);
    }
    await work(join(folder, "busybox"));
  } finally {
    if (registers && existsSync(`${BINFMT}/${name}`)) writeFileSync(`${BINFMT}/${name}`, "-1");
    if (mounted) sh("/", `umount ${BINFMT}`);
  }
}

async function unpacked(): Promise<string> {
  const kept = join(cacheFolder(), `emulator-${foreign}`);
  if (existsSync(kept)) return kept;
  mkdirSync(cacheFolder(), { recursive: true });
  const folder = mkdtempSync(join(tmpdir(), "slipway-emulator-"));
  try {
    const tar = join(folder, "packages.tar");
    const include = `--include=qemu-user-static:${own},busybox-static:${foreign}`;
    await mmdebstrap(["--variant=extract", `--architectures=${own},${foreign}`, include], tar);
    const files = `./bin/busybox ./usr/bin/qemu-${qemu}-static`;
    sh(folder, `mkdir out && tar xf packages.tar -C out --transform 's,.*/,,' ${files}`);
    // By the end of its name QEMU tells how it is called.
    renameSync(join(folder, "out", `qemu-${qemu}-static`), join(folder, "out", `${qemu}-binfmt-P`));
    sh(folder, `cp -r out ${kept}.new && mv -T ${kept}.new ${kept}`);
    return kept;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
