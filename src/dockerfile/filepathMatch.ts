export function filepathMatch(p: string, n: string): boolean {
  return new RegExp(
    "^" +
      p
        .replace(/[.+^${}()|]/g, "\\$&")
        .replace(/\*/g, "[^/]*")
        .replace(/\?/g, ".") +
      "$",
  ).test(n);
}
