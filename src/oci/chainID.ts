import { type Digest, sha256 } from "./digest.ts";

/** Names a stack of layers, lowest first (image-spec, config.md "Layer ChainID"). Undefined for no layer. */
export function chainID(diffIDs: readonly Digest[]): Digest | undefined {
  let chain: Digest | undefined;
  for (const diffID of diffIDs) chain = chain === undefined ? diffID : sha256(`${chain} ${diffID}`);
  return chain;
}
