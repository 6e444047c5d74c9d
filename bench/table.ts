import { type Measured, median } from "./measure.ts";

/** A markdown table: one row a scenario, one column a tool, medians in seconds; slipway's ratio to each of the others behind their time. */
export function table(rows: { scenario: string; measured: Measured[] }[]): string {
  const tools = [...new Set(rows.flatMap(({ measured }) => measured.map(({ name }) => name)))];
  const lines = [`| scenario | ${tools.join(" | ")} |`, `|---|${tools.map(() => "---:|").join("")}`];
  for (const { scenario, measured } of rows) {
    const own = measured.find(({ name }) => name === "slipway");
    const cells = tools.map((tool) => {
      const found = measured.find(({ name }) => name === tool);
      if (found === undefined) return "–";
      const time = median(found.seconds);
      if (own === undefined || found === own) return time.toFixed(3);
      return `${time.toFixed(3)} (× ${(median(own.seconds) / time).toFixed(2)})`;
    });
    lines.push(`| ${scenario} | ${cells.join(" | ")} |`);
  }
  return lines.join("\n");
}
