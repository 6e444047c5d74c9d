import { basename } from "node:path";
import { parseChmod } from "../../dockerfile/chmod.ts";
import type { Digest } from "../../oci/digest.ts";
import type { CopyItem, CopyStep } from "../../plan/graph.ts";
import { cachedStep, type StepOutcome } from "../cachedStep.ts";
import { fileValue, treeValue } from "../explain/explainMiss.ts";
import type { FileLists, KeyPart } from "../explain/key.ts";
import type { LayersResult, ResultOf, SolveContext } from "../SolveContext.ts";
import { openResult } from "../tree/openResult.ts";
import type { TreeDigester } from "../tree/treeDigest.ts";
import { type Claims, rememberedTree, withoutClaims } from "./claims.ts";
import { type CopySource, findSources } from "./findSources.ts";
import { needsAccounts } from "./owner.ts";
import { writeCopies } from "./writeCopies.ts";

type PathItem = Extract<CopyItem, { type: "path" }>;

/** COPY and ADD of files: what goes into the key, and the work when the key is new. */
export async function copy(step: CopyStep, context: SolveContext, resultOf: ResultOf): Promise<LayersResult> {
  const below = await resultOf(step.base);
  if (below.kind !== "layers") throw new Error("COPY stands on a file system");
  const base: LayersResult = below;
  // Of what lies below, a layer of its own needs at most the names of --chown.
  const standsAlone = step.link && !needsAccounts(step.chown);
  const closers: (() => void)[] = [];
  const claims: Claims = { allowed: true, made: false };
  const lists: FileLists = new Map();
  const found = new Map<PathItem, { sources: CopySource[]; digester: TreeDigester }>();

  /** The item's sources, looked up once. A file system of a stage is mounted for it. */
  async function sourcesOf(item: PathItem): Promise<{ sources: CopySource[]; digester: TreeDigester }> {
    let known = found.get(item);
    if (known === undefined) {
      const opened = await openResult(context, await resultOf(item.from));
      closers.push(opened.close);
      known = { sources: findSources(step, item, opened.tree), digester: opened.digester };
      found.set(item, known);
    }
    return known;
  }

  async function itemParts(item: PathItem): Promise<KeyPart[]> {
    const from = await resultOf(item.from);
    // Layers never change: what was digested of them once needs no second look, and no mount.
    const memoKey = from.kind === "layers" ? memoKeyOf(from.layers, item, step, context.epoch) : undefined;
    const memo = memoKey === undefined ? undefined : await remembered(context, memoKey, claims);
    if (memo !== undefined) return memo;
    const { sources, digester } = await sourcesOf(item);
    const parts = sources.map((source) => sourcePart(source, digester, lists));
    if (memoKey !== undefined && from.kind === "layers") {
      context.store.cache.put(memoKey, JSON.stringify(parts), from.layers);
      context.collect?.tree(memoKey, JSON.stringify(parts));
    }
    return parts;
  }

  async function partsOf(): Promise<KeyPart[]> {
    const parts: KeyPart[] = [
      ["kind", "copy 2"],
      ["destination", step.dest],
      ["--chown", step.chown ?? ""],
      ["--chmod", step.chmod ?? ""],
      ["--link", String(step.link)],
      ["--parents", String(step.parents)],
      ["--exclude", JSON.stringify(step.exclude)],
    ];
    if (!standsAlone) parts.push(["base", base.layers.join(",")]);
    for (const item of step.items) {
      if (item.type === "path") parts.push(...(await itemParts(item)));
      else parts.push([`heredoc ${item.name}`, new Bun.SHA256().update(item.content).digest("hex")]);
    }
    return parts;
  }

  try {
    const parts = await partsOf();
    const work = async (): Promise<StepOutcome> => {
      const sources: CopySource[] = [];
      for (const item of step.items) if (item.type === "path") sources.push(...(await sourcesOf(item)).sources);
      const inline = step.items.filter((item) => item.type === "inline");
      return writeCopies(context, { step, base: standsAlone ? [] : base.layers, sources, inline, mode: modeOf(step) });
    };
    const proved = claims.made ? () => withoutClaims(claims, partsOf) : undefined;
    return await cachedStep(context, { step, base, parts, lists }, work, proved);
  } finally {
    for (const close of closers) close();
  }
}

async function remembered(context: SolveContext, memoKey: string, claims: Claims): Promise<KeyPart[] | undefined> {
  const value = await rememberedTree(context, memoKey, claims);
  const parts = value === undefined ? undefined : parseParts(value);
  if (value !== undefined && parts !== undefined) context.collect?.tree(memoKey, value);
  return parts;
}

/** Undefined for what was never written by us. */
function parseParts(value: string): KeyPart[] | undefined {
  try {
    const parts: unknown = JSON.parse(value);
    const isPart = (part: unknown): boolean =>
      Array.isArray(part) && part.length === 2 && part.every((each) => typeof each === "string");
    return Array.isArray(parts) && parts.every(isPart) ? (parts as KeyPart[]) : undefined;
  } catch {
    return undefined;
  }
}

/** A single file stands in the key by itself, a directory by its digest: `lists` gets what is in it. */
function sourcePart(source: CopySource, digester: TreeDigester, lists: FileLists): KeyPart {
  const { node } = source;
  const name = `${source.extract ? "archive " : ""}${source.path === "" ? "." : source.path}`;
  const rest = source.include ?? basename(source.path);
  if (!node.isDirectory) return [name, fileValue(digester.describe(node), rest)];
  const options = { contentsOnly: true, ...(source.selection === undefined ? {} : { selection: source.selection }) };
  const digest = digester.digest(node, options);
  lists.set(digest, () => digester.list(node, options));
  return [name, treeValue(digest, rest)];
}

function memoKeyOf(layers: Digest[], item: PathItem, step: CopyStep, epoch: number | undefined): string {
  const times = epoch === undefined ? [] : [epoch];
  const { path, wildcard, extract } = item;
  const what = JSON.stringify(["copy 2", layers, path, wildcard, extract, step.parents, step.exclude, ...times]);
  return `tree:${new Bun.SHA256().update(what).digest("hex")}`;
}

function modeOf(step: CopyStep): ((mode: number, directory: boolean) => number) | undefined {
  return step.chmod === undefined ? undefined : parseChmod(step.chmod);
}
