import { expect, test } from "bun:test";
import { withTerminal } from "./terminal.ts";

const env = { PATH: process.env.PATH ?? "/bin", PS1: "> " };

test("a program on a terminal sees one, is typed at, and gives back its exit code", async () => {
  await withTerminal(
    ["sh", "-c", "test -t 0 && test -t 1 && read word && echo got $word; exit 3"],
    { env },
    async (session) => {
      session.type("ahoy\n");
      expect(await session.waitFor(/got \w+\n/)).toContain("got ahoy");
      expect(await session.exited).toBe(3);
    },
  );
});

test("what does not come in time is reported with what came instead", async () => {
  await withTerminal(["sh", "-c", "echo other; sleep 60"], { env }, async (session) => {
    await expect(session.waitFor(/never/, 500)).rejects.toThrow(/other/);
  });
});

test("colours and carriage returns are taken out", async () => {
  await withTerminal(["printf", "\\033[31mred\\033[0m\\r\\n"], { env }, async (session) => {
    await session.waitFor(/red\n/);
    expect(session.text()).toBe("red\n");
  });
});
