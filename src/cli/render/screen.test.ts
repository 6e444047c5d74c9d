import { describe, expect, test } from "bun:test";
import { paper } from "../../../test/support/buildEvents.ts";
import { createScreen, fit, justify } from "./screen.ts";

describe("lines on a screen", () => {
  test.each<[text: string, width: number, shown: string]>([
    ["abcdef", 3, "abc"],
    ["日本語", 5, "日本"],
    ["a\tb", 20, "a       b"],
    ["❤️❤️❤️", 5, "❤️❤️"],
    ["\x1b[31mred\x1b[0m", 3, "\x1b[31mred\x1b[0m"],
    ["\x1b[31mreder\x1b[0m", 3, "red"],
    ["e\u0301e\u0301e\u0301", 2, "e\u0301e\u0301"],
  ])("%j fits into %d cells as %j", (text, width, shown) => expect(fit(text, width)).toBe(shown));

  test("the right part stands at the margin, and is left out where there is no room", () => {
    expect(justify("name", "1.0s", 20)).toBe("name            1.0s");
    expect(justify("a very long name of a step", "1.0s", 20)).toBe("a very long nam 1.0s");
    expect(justify("a very long name", "1.0s", 12)).toBe("a very long ");
  });

  test("are drawn over in place, those that a narrower terminal has broken too", () => {
    const { write, take } = paper();
    let columns = 80;
    const screen = createScreen(write, () => ({ rows: 24, columns }));
    expect(screen.room()).toEqual({ width: 79, height: 23 });
    screen.draw(["x".repeat(79), "日".repeat(30), "short"]);
    expect(take()).not.toContain("A");
    columns = 40;
    screen.draw(["new"]);
    expect(take()).toBe("\x1b[?25l\x1b[5A\rnew\x1b[K\n\x1b[J\x1b[?25h");
    screen.draw([]);
    expect(take()).toContain("\x1b[1A");
  });

  test("a terminal without a size is taken for one of 80 by 24, and the smallest has a line", () => {
    expect(
      createScreen(
        () => {},
        () => ({ rows: 0, columns: 0 }),
      ).room(),
    ).toEqual({ width: 79, height: 23 });
    expect(
      createScreen(
        () => {},
        () => ({ rows: 1, columns: 1 }),
      ).room(),
    ).toEqual({ width: 1, height: 1 });
  });
});
