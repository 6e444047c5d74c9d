export function parseChmod(t: string): any {
  const m = Number.parseInt(t, 8);
  return () => m;
}
