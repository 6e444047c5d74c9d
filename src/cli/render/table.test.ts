import { expect, test } from "bun:test";
import fc from "fast-check";
import { humanSize } from "./humanSize.ts";
import { table } from "./table.ts";

test("a table is docker's: three blanks between columns, none narrower than ten, nothing behind the last", () => {
  const rows = [
    ["hello", "latest", "b5f2", "12kB"],
    ["docker.io/library/long", "1", "0", "1.2GB"],
  ];
  expect(table(["REPOSITORY", "TAG", "IMAGE ID", "SIZE"], rows)).toBe(
    [
      "REPOSITORY               TAG       IMAGE ID   SIZE",
      "hello                    latest    b5f2       12kB",
      "docker.io/library/long   1         0          1.2GB",
      "",
    ].join("\n"),
  );
  expect(table(["A", "B"], [])).toBe("A         B\n");
});

test("columns stand under each other whatever the width of the characters is", () => {
  const shown = table(
    ["NAME", "X"],
    [
      ["日本語の名前", "x"],
      ["\x1b[31mred\x1b[0m", "x"],
      ["e\u0301", "x"],
    ],
  );
  const at = shown
    .trimEnd()
    .split("\n")
    .map((line) => Bun.stringWidth(line.slice(0, line.search(/[xX]$/))));
  expect(at).toEqual([15, 15, 15, 15]);
});

test.each<[number, string]>([
  [0, "0B"],
  [999, "999B"],
  [1000, "1kB"],
  [1005, "1kB"],
  [1015, "1.01kB"],
  [12_345, "12.3kB"],
  [999_499, "999kB"],
  [999_999, "1MB"],
  [4_420_000, "4.42MB"],
  [128_000_000_000, "128GB"],
  [Number.MAX_SAFE_INTEGER, "9.01PB"],
])("%d bytes are %s", (bytes, shown) => expect(humanSize(bytes)).toBe(shown));

test("a size is never shown with more digits than asked for, nor off by more than they allow", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.integer({ min: 2, max: 5 }), (bytes, digits) => {
      const [, number = "", unit = ""] = /^([\d.]+)(\w+)$/.exec(humanSize(bytes, digits)) ?? [];
      if (digits >= 3)
        expect(number.replace(".", "").replace(/^0+/, "").length).toBeLessThanOrEqual(Math.max(digits, 3));
      const value = Number(number) * 1000 ** ["B", "kB", "MB", "GB", "TB", "PB", "EB"].indexOf(unit);
      expect(Math.abs(value - bytes)).toBeLessThanOrEqual(bytes * 10 ** (1 - digits) * 0.51);
    }),
  );
});
