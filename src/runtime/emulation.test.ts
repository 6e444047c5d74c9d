import { expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from "../linux/constants.ts";
import { createLinux } from "../linux/createLinux.ts";
import type { SlipwayError } from "../oci/SlipwayError.ts";
import { writeFiles } from "../../test/support/files.ts";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { checkForeign, findEmulator } from "./emulation.ts";

const entry = (state: string, flags: string) =>
  `${state}\ninterpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P\nflags: ${flags}\noffset 0\n` +
  "magic 7f454c460201010000000000000000000200b700\nmask ffffffffffffff00fffffffffffffffffeffffff\n";

test("an emulator is what an enabled entry's magic says of the platform's programs, one opened beforehand first", () =>
  withTempDirectory((directory) => {
    const arm64 = { os: "linux", architecture: "arm64" };
    expect(findEmulator(arm64, join(directory, "absent"))).toBeUndefined();
    writeFiles(directory, {
      register: "",
      status: "enabled\n",
      off: entry("disabled", "F"),
      jar: "enabled\ninterpreter /usr/bin/jexec\nflags: \noffset 0\nmagic 504b0304\n",
      ext: "enabled\ninterpreter /usr/bin/x\nflags: \nextension .x\n",
    });
    expect(findEmulator(arm64, directory)).toBeUndefined();
    writeFiles(directory, { plain: entry("enabled", "OC") });
    expect(findEmulator(arm64, directory)).toMatchObject({ name: "plain", fixed: false });
    writeFiles(directory, { qemu: entry("enabled", "POCF") });
    expect(findEmulator(arm64, directory)).toMatchObject({ name: "qemu", fixed: true });
    expect(findEmulator({ os: "linux", architecture: "riscv64" }, directory)).toBeUndefined();
  }));

test("only a foreign program that nothing can run is refused, by what it is and not by what the image says", () =>
  withTempDirectory((directory) => {
    const linux = createLinux();
    const elf = (machine: number) => {
      const bytes = Buffer.alloc(64);
      bytes.write("\x7fELF\x02\x01\x01", "latin1");
      bytes.writeUInt16LE(machine, 18);
      return bytes;
    };
    mkdirSync(join(directory, "root/bin"), { recursive: true });
    writeFileSync(join(directory, "root/bin/risc"), elf(243));
    writeFileSync(join(directory, "root/bin/own"), elf(process.arch === "arm64" ? 183 : 62));
    writeFiles(directory, {
      "root/script": "#! /bin/risc -e\n",
      "root/qemu": "",
      "none/status": "enabled\n",
      "fmt/status": "enabled\n",
      "fmt/riscv": entry("enabled", "")
        .replace("/usr/libexec/qemu-binfmt/aarch64-binfmt-P", "/absent")
        .replaceAll("b700", "f300"),
    });
    const root = linux.openat(AT_FDCWD, join(directory, "root"), O_RDONLY | O_DIRECTORY);
    const check = (program: string, formats = "none") =>
      checkForeign(
        linux,
        root,
        { args: [program], env: ["PATH=/sbin:/bin"], cwd: "/" },
        { directory: join(directory, formats) },
      );
    try {
      for (const program of ["own", "absent", "/bin"]) check(program);
      expect(() => check("risc")).toThrow("cannot run programs for linux/riscv64");
      for (const program of ["/script", "./script"]) expect(() => check(program)).toThrow("exec format error");
      try {
        check("risc", "fmt");
        throw new Error("it passed");
      } catch (error) {
        expect((error as SlipwayError).hint).toContain(
          "without the flag F, so that /absent is looked for in the image",
        );
      }
      writeFiles(directory, {
        "fmt/riscv": readFileSync(join(directory, "fmt/riscv"), "utf8").replace("/absent", "/qemu"),
      });
      check("risc", "fmt");
    } finally {
      linux.close(root);
    }
  }));
