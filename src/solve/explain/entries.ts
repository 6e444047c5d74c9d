import { decodePath } from "../../linux/pathBytes.ts";

/**
 * Some files of a tree, one after the other, each as its path, a NUL, its text (`TreeDigester.describe`), a NUL. Where lists are cut into pieces depends on
 * the names alone, so that two of them are the same again soon after they differed.
 */
export interface Piece {
  /** Of the bytes. Pieces of one hash are taken for the same. */
  readonly hash: bigint;
  /** @throws DamagedList */
  bytes(): Uint8Array;
}

/** The files of a tree in the order of a walk. A piece is valid until the next one. Iterating throws `DamagedList` where the list cannot be read to its end. */
export type FileList = Iterable<Piece>;

export class DamagedList extends Error {}

/** A list, file by file. No string is made of what nobody asks for. */
export interface Entries {
  /** False at the end. @throws DamagedList */
  next(): boolean;
  /** Passes over the next piece, if it begins here and is that one. @throws DamagedList */
  skip(piece: Piece): boolean;
  path(): string;
  text(): string;
  close(): void;
  /** The path lies from `start` to `middle`, the text from there to `end`, NULs not counted. */
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly middle: number;
  readonly end: number;
}

export function createEntries(list: FileList): Entries {
  const pieces = list[Symbol.iterator]();
  let ahead: Piece | undefined;

  function peek(): Piece | undefined {
    ahead ??= pieces.next().value as Piece | undefined;
    return ahead;
  }

  const entries = {
    bytes: new Uint8Array(0) as Uint8Array,
    start: 0,
    middle: 0,
    end: -1,
    skip(piece: Piece): boolean {
      if (entries.end + 1 < entries.bytes.length || peek()?.hash !== piece.hash) return false;
      ahead = undefined;
      return true;
    },
    next(): boolean {
      let start = entries.end + 1;
      while (start >= entries.bytes.length) {
        const piece = peek();
        if (piece === undefined) return false;
        ahead = undefined;
        entries.bytes = piece.bytes();
        start = 0;
      }
      entries.start = start;
      entries.middle = entries.bytes.indexOf(0, start);
      entries.end = entries.middle < 0 ? -1 : entries.bytes.indexOf(0, entries.middle + 1);
      if (entries.end < 0) throw new DamagedList("a file is cut in two");
      return true;
    },
    path: () => decodePath(entries.bytes.subarray(entries.start, entries.middle)),
    text: () => decodePath(entries.bytes.subarray(entries.middle + 1, entries.end)),
    close: () => void pieces.return?.(),
  };
  return entries;
}

const [SLASH, DOT] = [0x2f, 0x2e];

/** Which path comes first in a walk: what is in a directory comes before its longer neighbours (`a/b`, then `a.b`), the root, ".", before all. */
export function comparePaths(a: Entries, b: Entries): number {
  const { bytes: x } = a;
  const { bytes: y } = b;
  const [lengthX, lengthY] = [a.middle - a.start, b.middle - b.start];
  const shorter = Math.min(lengthX, lengthY);
  for (let i = 0; i < shorter; i++) {
    const difference = (x[a.start + i] as number) - (y[b.start + i] as number);
    if (difference === 0) continue;
    if (isRoot(a)) return -1;
    if (isRoot(b)) return 1;
    if (x[a.start + i] === SLASH) return -1;
    return y[b.start + i] === SLASH ? 1 : difference;
  }
  return lengthX - lengthY;
}

function isRoot({ bytes, start, middle }: Entries): boolean {
  return middle === start + 1 && bytes[start] === DOT;
}

export function sameText(a: Entries, b: Entries): boolean {
  const length = a.end - a.middle;
  if (b.end - b.middle !== length) return false;
  for (let i = 1; i < length; i++) if (a.bytes[a.middle + i] !== b.bytes[b.middle + i]) return false;
  return true;
}
