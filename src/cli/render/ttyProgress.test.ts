import { describe, expect, test } from "bun:test";
import { binary, canceled, done, failed, harmful, log, paper, start } from "../../../test/support/buildEvents.ts";
import type { EngineEvent } from "../../engine/events.ts";
import { createTtyProgress } from "./ttyProgress.ts";

describe("--progress tty", () => {
  function session(size = { rows: 24, columns: 80 }, color = false) {
    const { write, take } = paper();
    const progress = createTtyProgress({ write, size: () => size, color });
    return { progress, size, take, lines: () => plainLines(take()) };
  }
  const plainLines = (drawn: string) =>
    Bun.stripANSI(drawn)
      .split("\n")
      .map((line) => line.replace("\r", "").trimEnd())
      .slice(0, -1);

  /** Lets the timer draw once. */
  const drawn = () => Bun.sleep(120);

  test("draws what runs with its last lines, and in the end all steps and the failed one's log", async () => {
    const { progress, lines } = session();
    for (const event of [start("a", "[1/2] FROM x"), start("b"), done("a", { cached: true })]) progress.event(event);
    progress.event({ type: "step.status", id: "b", key: "k", text: "down", current: 1000, total: 2000, time: 1 });
    progress.event(log("b", Array.from({ length: 9 }, (_, i) => `line ${i}\n`).join("")));
    await drawn();
    const running = lines();
    expect(running[0]).toMatch(/^\[\+\] Building \d\.\ds \(1\/2\)$/);
    expect(running[1]).toBe(`${" => CACHED [1/2] FROM x".padEnd(75)}3.0s`.trimEnd());
    expect(running.slice(3)).toEqual([
      ` => => down${"1kB / 2kB".padStart(68)}`,
      ...[3, 4, 5, 6, 7, 8].map((i) => ` => => # line ${i}`),
    ]);
    progress.event(log("b", "open"));
    progress.event(failed("b"));
    progress.finish();
    const end = lines();
    expect(end[0]).toMatch(/\(2\/2\) ERROR$/);
    expect(end[2]).toMatch(/^ => ERROR \[1\/1\] RUN b +3\.0s$/);
    expect(end.slice(3)).toEqual([
      "------",
      " > [1/1] RUN b:",
      ...[0, 1, 2, 3, 4, 5, 6, 7, 8].map((i) => `line ${i}`),
      "open",
      "------",
    ]);
  });

  test("with explain, says under a step why it ran, and of a cached one nothing", () => {
    const { write, take } = paper();
    const progress = createTtyProgress({ write, size: () => ({ rows: 24, columns: 80 }), color: false, explain: true });
    for (const event of [
      start("a"),
      done("a", { reason: "src/a.ts changed" }),
      start("b"),
      done("b", { cached: true }),
    ])
      progress.event(event);
    progress.finish();
    const lines = plainLines(take());
    expect(lines[2]).toBe(" => => because: src/a.ts changed");
    expect(lines).toHaveLength(4);
  });

  test("says how it ended, and nothing at all where nothing began", () => {
    const end = (...events: EngineEvent[]) => {
      const { progress, lines } = session();
      for (const event of events) progress.event(event);
      progress.finish();
      return lines()[0];
    };
    expect(end(start("a"), done("a"))).toEndWith("(1/1) FINISHED");
    expect(end(start("a"), done("a"), start("b"), canceled("b"))).toEndWith("(2/2) CANCELED");
    expect(end(start("a"))).toEndWith("(0/1) CANCELED");
    expect(end(start("a"), canceled("a"), start("b"), failed("b"))).toEndWith("ERROR");
    expect(end()).toBeUndefined();
  });

  test.each([1, 10, 21, 79, 200])(
    "no line is wider than a terminal of %d columns, nor are there more than it has rows",
    async (columns) => {
      const { progress, size, take } = session({ rows: 12, columns }, true);
      for (let i = 0; i < 30; i++) {
        progress.event(start(`${i}`, `[${i}/30] RUN 日本語 ${"long ".repeat(40)}\nsecond line`));
        progress.event(log(`${i}`, `\t\x1b[31mcoloured ${"x".repeat(300)}\n${"❤️".repeat(200)}\n`));
        progress.event(log(`${i}`, binary));
        progress.event(log(`${i}`, "\n"));
        if (i < 20) progress.event(done(`${i}`));
      }
      await drawn();
      const first = take();
      // A busy machine may have drawn twice meanwhile.
      const check = (text: string) => {
        const drawings = text.split("\x1b[?25l").map((drawing) => drawing.split("\n").slice(0, -1));
        for (const line of drawings.flat()) expect(Bun.stringWidth(line)).toBeLessThan(Math.max(2, size.columns));
        return Math.max(...drawings.map((lines) => lines.length));
      };
      expect(check(first)).toBeLessThanOrEqual(11);
      // All that is left of control are our own drawing and colours that are ended in their line.
      const drawing = /\x1b\[\?25[lh]|\x1b\[\d+A|\x1b\[[JK]/g;
      expect(first.replace(drawing, "")).not.toMatch(harmful);
      for (const line of first.replace(drawing, "").split("\n")) expect(line).toMatch(/^[^\x1b]*$|\x1b\[0m$/);
      size.columns = Math.max(1, columns >> 1);
      size.rows = 5;
      await drawn();
      expect(check(take())).toBeLessThanOrEqual(4);
      progress.event(done("29"));
      progress.finish();
      expect(check(take())).toBeGreaterThan(30);
    },
  );

  test("without colours there are none, not even those of the steps", async () => {
    const { progress, take } = session({ rows: 24, columns: 80 }, false);
    progress.event(start("a"));
    progress.event(log("a", "\x1b[31mred\n"));
    await drawn();
    progress.event(failed("a"));
    progress.finish();
    const text = take();
    expect(text).toContain(" => => # red");
    expect(text).not.toMatch(/\x1b\[[0-9;]*m/);
  });

  test("endless output is not held, and drawn no faster than the terminal is to keep up", async () => {
    const { progress, take } = session();
    progress.event(start("a"));
    const piece = "x".repeat(60_000);
    for (let i = 0; i < 1000; i++) progress.event(log("a", piece));
    for (let i = 0; i < 5000; i++) progress.event(log("a", `${i}\n`));
    await drawn();
    expect(take().length).toBeLessThan(4000);
    progress.event(failed("a"));
    progress.finish();
    const end = take();
    expect(end.length).toBeLessThan(3 << 20);
    expect(end).toContain("\n4999\n------\n");
  });
});
