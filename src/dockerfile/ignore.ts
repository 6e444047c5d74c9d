export function parseIgnoreFile(t: string): string[] {
  return t
    .split("\n")
    .map((l) => l.trim())
    .filter((l) => l && !l.startsWith("#"));
}
export function createIgnoreMatcher(ps: string[]): any {
  const rx = ps.map(
    (p) =>
      new RegExp(
        "^" +
          p
            .replace(/[.+^${}()|]/g, "\\$&")
            .replace(/\*\*\//g, "(.*/)?")
            .replace(/(?<!\.)\*/g, "[^/]*") +
          "(/.*)?$",
      ),
  );
  return { matches: (p: string) => rx.some((r) => r.test(p)) };
}
