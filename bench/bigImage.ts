import { type TarEntry, writeTar } from "../scripts/lib/writeTar.mjs";

const layerCount = 6;
const filesPerLayer = 3334;
const layerBytes = 83_400_000;

/** Layers of an image of 500 MB in 20,000 files of mixed sizes, of text that compresses to somewhat less than half. Always the same bytes. */
export function bigLayers(): (() => Uint8Array)[] {
  return Array.from({ length: layerCount }, (_, layer) => () => makeLayer(layer));
}

function makeLayer(layer: number): Uint8Array {
  const random = createRandom(layer + 1);
  const pool = makeText(random, 8_000_000);
  // Most files are small and most bytes are in large ones, as in a system's packages.
  const weights = Array.from({ length: filesPerLayer }, () => random() ** 6 + 0.002);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const entries: TarEntry[] = [{ path: `opt/layer${layer}`, directory: true }];
  weights.forEach((weight, index) => {
    const folder = `opt/layer${layer}/${Math.floor(index / 50)}`;
    if (index % 50 === 0) entries.push({ path: folder, directory: true });
    const size = Math.round((weight / total) * layerBytes);
    const start = Math.floor(random() * (pool.length - size));
    entries.push({ path: `${folder}/file${index}`, content: pool.subarray(start, start + size) });
  });
  return writeTar(entries);
}

/** Words in random order. */
export function makeText(random: () => number, length: number): Uint8Array {
  const words = Array.from(
    { length: 8192 },
    () => Math.floor(random() * 2 ** 40).toString(36) + (random() < 0.1 ? "\n" : " "),
  );
  const text: string[] = [];
  for (let made = 0; made < length; ) {
    const word = words[Math.floor(random() * words.length)]!;
    text.push(word);
    made += word.length;
  }
  return new TextEncoder().encode(text.join("")).subarray(0, length);
}

/** Mulberry32: small, fast, the same on every machine. Numbers in [0, 1). */
export function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
