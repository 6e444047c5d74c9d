import { expect, test } from "bun:test";
import { createLinux } from "../../linux/createLinux.ts";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { terminalSize } from "./terminalSize.ts";

test("what is no terminal has no size", () => {
  const fd = openSync("/dev/null", "r");
  const size = terminalSize(fd, createLinux());
  expect(size()).toEqual({ rows: 0, columns: 0 });
  closeSync(fd);
  expect(size()).toEqual({ rows: 0, columns: 0 });
});

test("a terminal has the size that it was given last", async () => {
  const script = `const { terminalSize } = await import(${JSON.stringify(join(import.meta.dir, "terminalSize.ts"))});
    const { createLinux } = await import(${JSON.stringify(join(import.meta.dir, "../../linux/createLinux.ts"))});
    const size = terminalSize(1, createLinux());
    const say = () => console.log(Object.values(size()).join(" by ") + ";");
    say();
    process.stdin.once("data", () => { say(); process.exit(); });`;
  let said = "";
  let heard = () => {};
  const first = new Promise<void>((resolve) => {
    heard = resolve;
  });
  const terminal = new Bun.Terminal({
    cols: 100,
    rows: 30,
    data(_, bytes) {
      said += new TextDecoder().decode(bytes);
      if (said.includes(";")) heard();
    },
  });
  try {
    const child = Bun.spawn([process.execPath, "-e", script], { terminal });
    await first;
    terminal.resize(50, 20);
    terminal.write("\n");
    expect(await child.exited).toBe(0);
    expect(said.match(/\d+ by \d+;/g)).toEqual(["30 by 100;", "20 by 50;"]);
  } finally {
    terminal.close();
  }
});
