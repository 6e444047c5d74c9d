import { expect, test } from "bun:test";
import { mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { type ConsoleCommand, consoleBlocks, expectOutput, withRealIDs } from "../support/consoleBlocks.ts";
import { e2e } from "../support/e2e.ts";
import { withTerminal } from "../support/terminal.ts";
import { repository, type Slipway, slipwayPath } from "../support/withSlipway.ts";

const read = (name: string) => consoleBlocks(readFileSync(join(repository, "docs", name), "utf8"));
const prompt = /(?:root@[0-9a-f]{12}:\/#|\/ #) $/;

test("the Korean tutorial has the commands and the output of the English one", () => {
  const withoutLines = (name: string) => read(name).map(({ line: _, ...command }) => command);
  expect(withoutLines("tutorial.ko.md")).toEqual(withoutLines("tutorial.md"));
});

e2e(
  "every command of the tutorial does what the page says",
  async (slipway) => {
    const folder = join(slipway.directory, "bin");
    mkdirSync(folder);
    symlinkSync(slipwayPath, join(folder, "slipway"));
    const env = { ...slipway.env, PATH: `${folder}:${slipway.env.PATH}` };
    const ids = new Map<string, string>();
    for (const command of read("tutorial.md")) {
      try {
        await follow(command, slipway, env, ids);
      } catch (error) {
        throw new Error(`docs/tutorial.md:${command.line}: ${command.command}\n${(error as Error).message}`);
      }
    }
  },
  { debian: true, minutes: 6 },
);

async function follow(
  { command, output, inside }: ConsoleCommand,
  slipway: Slipway,
  env: Record<string, string>,
  ids: Map<string, string>,
): Promise<void> {
  const state = join(slipway.directory, ".cwd");
  // Each command has a shell of its own; the folder that `cd` went to is handed on.
  const script = `cd "$(cat '${state}' 2>/dev/null || pwd)"\n${withRealIDs(command, ids)}\ncode=$?; pwd > '${state}'; exit $code`;
  const shell = ["bash", "-c", script];
  if (!/ -(it|ai) /.test(command)) {
    const child = Bun.spawn(shell, { cwd: slipway.directory, env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const [stdout, stderr, exitCode] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    if (exitCode !== 0) throw new Error(`ended with ${exitCode}:\n${stdout}${stderr}`);
    // Progress goes to standard error, results to standard output; no command of the page shows both in one order.
    expectOutput(output, stderr + stdout, ids);
    return;
  }

  await withTerminal(shell, { env, cwd: slipway.directory }, async (session) => {
    let prompted = false;
    for (const { command: typed, output: expected } of inside) {
      if (!prompted) await session.waitFor(prompt);
      session.type(`${typed}\n`);
      if (typed === "exit") break;
      await session.waitFor(new RegExp(`${RegExp.escape(typed)}\\n`));
      expectOutput(expected, await session.waitFor(prompt, 240_000), ids);
      prompted = true;
    }
    expect(await session.exited).toBe(0);
    expectOutput(output, session.text(), ids);
  });
}
