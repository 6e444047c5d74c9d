import { expect, test } from "bun:test";
import { e2e } from "../support/e2e.ts";
import { slipwayPath } from "../support/withSlipway.ts";

const commands =
  "build pull images history tag rmi run create start stop kill ps logs exec diff commit rm inspect version info".split(
    " ",
  );

function run(...args: string[]): { exitCode: number; stdout: string; stderr: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync([slipwayPath, ...args], { stdin: "ignore" });
  return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

test("--version names slipway and its version", () => {
  const { exitCode, stdout } = run("--version");
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^slipway version \d+\.\d+\.\d+/i);
});

test("--help lists every command, and each command explains itself", () => {
  const { exitCode, stdout } = run("--help");
  expect(exitCode).toBe(0);
  for (const command of commands) expect(stdout).toMatch(new RegExp(`^ +${command} `, "m"));
  for (const command of [...commands, "image inspect"]) {
    const help = run(...command.split(" "), "--help");
    expect(help.exitCode).toBe(0);
    expect(help.stdout).toContain(`slipway ${command}`);
  }
});

test("an unknown command and an unknown flag are answered with what was probably meant", () => {
  const command = run("biuld");
  expect(command.exitCode).not.toBe(0);
  expect(command.stderr).toContain("biuld");
  expect(command.stderr).toMatch(/\bbuild\b/);
  const flag = run("run", "--nmae", "x", "alpine");
  expect(flag.exitCode).toBe(125);
  expect(flag.stderr).toContain("--nmae");
  expect(flag.stderr).toContain("--name");
});

e2e("info says which runtime was chosen, and version which one of slipway", async (slipway) => {
  expect(await slipway.text("info")).toMatch(/\b(crun|runc)\b/);
  expect(await slipway.text("version")).toMatch(/\d+\.\d+\.\d+/);
});
