import { expect, test } from "bun:test";
import { join } from "node:path";
import { hostPlatform } from "../oci/platform.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { writeFiles } from "../../test/support/files.ts";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { explainForeign, findEmulator } from "./emulation.ts";

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

test("only a foreign program that cannot be executed is explained by its platform", () => {
  const format = new SlipwayError("NOT_EXECUTABLE", 'exec: "/x": exec format error', { exitCode: 126 });
  expect(explainForeign(format, hostPlatform())).toBe(format);
  const denied = new SlipwayError("NOT_EXECUTABLE", 'exec: "/x": permission denied');
  expect(explainForeign(denied, { os: "linux", architecture: "s390x" })).toBe(denied);
  expect(explainForeign(format, { os: "linux", architecture: "mips64" })).toMatchObject({
    message: expect.stringContaining("cannot run programs for linux/mips64"),
    exitCode: 126,
  });
});
