import { expect, test } from "bun:test";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { isAlive, processStart } from "./processStart.ts";
import { syscallNumbers } from "./syscallNumbers.ts";

test("a process is known by its start whatever its name is, and is dead once it has ended, unreaped too", () =>
  withTempDirectory(async (directory) => {
    const own = processStart(process.pid);
    expect([typeof own, isAlive(process.pid, own), isAlive(process.pid, (own ?? 0) - 1)]).toEqual([
      "number",
      true,
      false,
    ]);
    const odd = join(directory, "a) Z 1 (b");
    symlinkSync(process.execPath, odd);
    const child = Bun.spawn([odd, "-e", "console.log('up'); setInterval(() => {}, 1000)"], { stdout: "pipe" });
    await child.stdout.getReader().read();
    const start = processStart(child.pid);
    expect(start).toBeGreaterThanOrEqual(own as number);
    expect(isAlive(child.pid, start)).toBe(true);
    child.kill(9);
    await child.exited;
    expect([isAlive(child.pid, start), isAlive(undefined, start), isAlive(child.pid, undefined)]).toEqual([
      false,
      false,
      false,
    ]);
    // `sleep` never asks for the child that its shell left it.
    const parent = Bun.spawn(["sh", "-c", "sleep 0.1 & echo $!; exec sleep 10"], { stdout: "pipe" });
    const { value } = await parent.stdout.getReader().read();
    const zombie = Number(new TextDecoder().decode(value));
    for (let tries = 0; processStart(zombie) !== undefined && tries < 500; tries++) await Bun.sleep(10);
    expect(processStart(zombie)).toBeUndefined();
    expect(() => process.kill(zombie, 0)).not.toThrow();
    parent.kill(9);
    await parent.exited;
  }));

test("each architecture has its own numbers for the same calls, each call one of its own; another is refused by name", () => {
  const [x64, arm64] = [syscallNumbers("x64"), syscallNumbers("arm64")];
  expect(Object.keys(arm64).sort()).toEqual(Object.keys(x64).sort());
  for (const numbers of [x64, arm64]) expect(new Set(Object.values(numbers)).size).toBe(Object.keys(numbers).length);
  expect([x64.openat2, arm64.openat2, x64.openat, arm64.openat]).toEqual([437, 437, 257, 56]);
  expect(() => syscallNumbers("riscv64")).toThrow("no system call numbers for riscv64");
});
