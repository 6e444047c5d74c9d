import { describe, expect, test } from "bun:test";
import { binary, canceled, done, failed, harmful, log, paper, start } from "../../../test/support/buildEvents.ts";
import type { EngineEvent } from "../../engine/events.ts";
import { createPlainProgress } from "./plainProgress.ts";

describe("--progress plain", () => {
  function shown(events: EngineEvent[], explain = false): string {
    const { write, take } = paper();
    const progress = createPlainProgress(write, { explain });
    for (const event of events) progress.event(event);
    progress.finish();
    return take();
  }

  test("one line an event under the step's number, a blank one where another step speaks, the failed step's log again", () => {
    const events: EngineEvent[] = [
      ...[start("a", "[1/2] FROM x"), start("b"), log("b", "one\ntw"), done("a", { cached: true })],
      log("b", "o\n"),
      ...[log("b", "err", 2), failed("b"), start("c"), canceled("c")],
      { type: "step.log", id: "unknown", stream: 1, data: binary, time: 0 },
    ];
    expect(shown(events)).toBe(
      [
        ...["#1 [1/2] FROM x", "", "#2 [1/1] RUN b", "#2 1.500 one", "", "#1 CACHED", "", "#2 1.500 two"],
        ...["#2 3.000 err", "#2 ERROR: exit code: 1", "", "#3 [1/1] RUN c", "#3 CANCELED"],
        ...["------", " > [1/1] RUN b:", "one", "two", "err", "------", ""],
      ].join("\n"),
    );
  });

  test("statuses when they are done, and with --explain why a step ran", () => {
    const status = (rest: object): EngineEvent =>
      ({ type: "step.status", id: "a", key: "k", text: "transferring context:", time: 2000, ...rest }) as EngineEvent;
    const events = [
      start("a"),
      status({ current: 1 }),
      status({ total: 1234, done: true }),
      done("a", { reason: "x changed" }),
    ];
    expect(shown(events, true)).toBe(
      "#1 [1/1] RUN a\n#1 transferring context: 1.23kB done\n#1 because: x changed\n#1 DONE 3.0s\n",
    );
    expect(shown(events)).not.toContain("because");
  });

  test("binary and endless output is written as lines that do no harm, and not held", () => {
    const text = shown([
      ...[start("a"), ...Array.from({ length: 500 }, () => log("a", binary)), log("a", "\n")],
      ...[...Array.from({ length: 50 }, () => log("a", "x".repeat(100_000))), failed("a", "\x1b[2Jx\ny")],
    ]);
    expect(text).not.toMatch(harmful);
    expect(text).toContain("#1 ERROR: x y\n");
    const again = text.slice(text.indexOf("------"));
    expect(text.length).toBeGreaterThan(5_000_000);
    expect(again.length).toBeLessThan(2 << 20);
    const many = shown([start("a"), ...Array.from({ length: 1000 }, (_, i) => log("a", `${i}\n`)), failed("a")]);
    expect(many.slice(many.indexOf("------")).split("\n")).toHaveLength(204);
  });
});

test("lines that come together are written together: endless output does not hold its step up", () => {
  const written: string[] = [];
  const progress = createPlainProgress((text) => written.push(text), { explain: false });
  progress.event({ type: "step.start", id: "a", name: "RUN yes", time: 0 });
  written.length = 0;
  progress.event({ type: "step.log", id: "a", stream: 1, data: Buffer.from("y\n".repeat(10_000)), time: 1500 });
  expect(written).toEqual(["#1 1.500 y\n".repeat(10_000)]);
});
