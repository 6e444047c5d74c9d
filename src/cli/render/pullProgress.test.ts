import { describe, expect, test } from "bun:test";
import { paper } from "../../../test/support/buildEvents.ts";
import type { EngineEvent } from "../../engine/events.ts";
import { createPullProgress } from "./pullProgress.ts";

describe("the progress of a pull", () => {
  const digest = (i: number) => `sha256:${String(i).padStart(12, "0")}${"f".repeat(52)}` as const;
  type Status = Extract<EngineEvent, { type: "pull.layer" }>["status"];
  const layer = (i: number, status: Status, rest: { current?: number; total?: number } = {}): EngineEvent => ({
    type: "pull.layer",
    digest: digest(i),
    status,
    ...rest,
  });

  test("without a terminal a line is written for each layer that is there, once", () => {
    const { write, take } = paper();
    const progress = createPullProgress({ write });
    for (const status of ["waiting", "downloading", "extracting", "done", "done"] as const)
      progress.event(layer(1, status));
    progress.event(layer(2, "exists"));
    progress.event({ type: "pull.done", reference: "x", digest: digest(1), updated: true });
    progress.finish();
    expect(take()).toBe("000000000001: Pull complete\n000000000002: Already exists\n");
  });

  test("on a terminal a line a layer is drawn over, its bar as wide as the terminal lets it", () => {
    const { write, take } = paper();
    const size = { rows: 24, columns: 100 };
    const progress = createPullProgress({ write, size: () => size });
    const drawn = () => Bun.stripANSI(take()).replaceAll("\r", "").split("\n").slice(0, -1);
    progress.event(layer(1, "waiting"));
    drawn();
    progress.event(layer(1, "downloading", { current: 500, total: 1000 }));
    expect(drawn()).toEqual([`000000000001: Downloading [${"=".repeat(24)}>${" ".repeat(24)}] 500B/1kB`]);
    progress.event(layer(1, "downloading", { current: 501, total: 1000 }));
    expect(drawn()).toEqual([]);
    size.columns = 60;
    progress.event(layer(2, "downloading", { current: 2, total: 1 }));
    expect(drawn()).toEqual(["000000000001: Downloading 501B/1kB", "000000000002: Downloading 2B/1B"]);
    size.columns = 20;
    progress.event(layer(1, "verifying"));
    expect(drawn()).toEqual(["000000000001: Verif", "000000000002: Downl"]);
    for (let i = 3; i < 100; i++) progress.event(layer(i, i < 60 ? "exists" : "waiting"));
    drawn();
    progress.event(layer(1, "done"));
    const lines = drawn();
    expect(lines).toHaveLength(23);
    expect(lines.every((line) => line.length < 20)).toBe(true);
    expect(lines[1]).toStartWith("000000000060");
    progress.finish();
    expect(drawn()).toHaveLength(99);
  });
});
