/** The named parts that a step's result depends on. Kept beside the result, so that a later miss can say which of them changed. */
export type KeyPart = [name: string, value: string];

/** Digest (hex) of the parts: the cache key. */
export function stepKey(parts: readonly KeyPart[]): string {
  return new Bun.SHA256().update(JSON.stringify(parts)).digest("hex");
}

/** Names the first parts that differ from an earlier record of the same step. */
export function explainMiss(parts: readonly KeyPart[], earlier: readonly KeyPart[] | undefined): string {
  if (earlier === undefined) return "not built before";
  const before = new Map(earlier);
  const now = new Map(parts);
  const changes: string[] = [];
  for (const [name, value] of now) {
    const old = before.get(name);
    if (old === value) continue;
    if (old === undefined) changes.push(`${name} is new`);
    else if (isOpaque(value)) changes.push(`${name} changed`);
    else changes.push(`${name}: ${shorten(old)} → ${shorten(value)}`);
  }
  for (const name of before.keys()) if (!now.has(name)) changes.push(`${name} is gone`);
  return changes.length === 0 ? "its cached layer is gone" : changes.join("; ");
}

/** Digests say nothing to a person. */
function isOpaque(value: string): boolean {
  return /^(sha256:)?[0-9a-f]{64}(,|$)/.test(value) || value.length > 200;
}

function shorten(value: string): string {
  return value.length > 60 ? `${value.slice(0, 57)}…` : value === "" ? "(empty)" : value;
}
