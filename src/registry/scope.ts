/**
 * Scopes of the token authentication specification: `TYPE:NAME:ACTION[,ACTION…]`, blank between several. A name may hold colons (a port).
 */
export function unite(...scopes: string[]): string {
  const found = new Map<string, Set<string>>();
  for (const each of scopes.flatMap((scope) => scope.split(" "))) {
    if (each === "") continue;
    const [resource, actions] = split(each);
    const known = found.get(resource) ?? new Set();
    for (const action of actions) known.add(action);
    found.set(resource, known);
  }
  return [...found].map(([resource, actions]) => `${resource}:${[...actions].sort().join(",")}`).join(" ");
}

/** Whether who may do `held` may do `wanted`. */
export function covers(held: string, wanted: string): boolean {
  const have = new Map(
    held
      .split(" ")
      .filter((each) => each !== "")
      .map(split),
  );
  return wanted.split(" ").every((each) => {
    if (each === "") return true;
    const [resource, actions] = split(each);
    const allowed = have.get(resource) ?? [];
    return actions.every((action) => allowed.includes(action) || allowed.includes("*"));
  });
}

function split(scope: string): [resource: string, actions: string[]] {
  const at = scope.lastIndexOf(":");
  return [scope.slice(0, at), scope.slice(at + 1).split(",")];
}
