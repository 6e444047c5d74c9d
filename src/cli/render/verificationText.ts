import type { Verification } from "../../engine/Engine.ts";

/** What `--verify-reproducible` says in the end. */
export function verificationText({ times, differences }: Verification): string {
  const aside = times ? "" : ", times aside: without SOURCE_DATE_EPOCH they are those of each build";
  if (differences.length === 0) return `The second build came out the same${aside}.\n`;
  const lines = [`The second build came out different${times ? "" : ", times aside"}:`];
  for (const { where, paths, more } of differences) {
    lines.push(`  ${where}`);
    for (const { path, what } of paths) lines.push(`    ${path}: ${what.join(", ")}`);
    if (more) lines.push("    …");
  }
  return `${lines.join("\n")}\n`;
}
