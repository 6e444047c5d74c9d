import type { SolveContext } from "../SolveContext.ts";

/** Whether a key may be of what an imported cache says of files that are not here, and whether one was. */
export interface Claims {
  allowed: boolean;
  made: boolean;
}

/** What is known under the key of a tree: by the store, or else by an imported cache. */
export async function rememberedTree(
  context: SolveContext,
  memoKey: string,
  claims: Claims,
): Promise<string | undefined> {
  const own = context.store.cache.get(memoKey)?.value;
  if (own !== undefined || !claims.allowed) return own;
  const claimed = await context.imported?.tree(memoKey);
  if (claimed !== undefined) claims.made = true;
  return claimed;
}

/** The same key parts by the files themselves: a result that is recorded under a false claim would be found by who has those files. */
export function withoutClaims<T>(claims: Claims, partsOf: () => Promise<T>): Promise<T> {
  claims.allowed = false;
  return partsOf();
}
