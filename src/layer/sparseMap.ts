import { bad, tarNumber } from "./tarNumber.ts";
import type { TarHandler } from "./tarReader.ts";

/**
 * Where the stored bytes of a sparse file belong ("Storing Sparse Files" of GNU tar's manual). All four forms are read: the old one of GNU
 * (type `S`) and 0.0, 0.1 and 1.0 of PAX.
 */
export interface SparseMap {
  /** Offset and length of each run of data, one after the other. */
  readonly ranges: readonly number[];
  /** Whether the map goes on in the next block. */
  readonly more: boolean;
  /** Whether its blocks are counted as the file's stored bytes. */
  readonly inData: boolean;
  /** Takes that block. */
  block(bytes: Uint8Array): void;
}

const BLOCK = 512;
/** A map is held in memory (16 bytes for each): a file of 4 GiB with a hole after every 4 KiB has as many. */
const MAX_RANGES = 512 * 1024;

/** Of a header of type `S`: four runs, and 21 in each block that follows where a byte says so. */
export function oldGnuMap(header: Uint8Array): SparseMap {
  const ranges: number[] = [];
  let more = false;
  const take = (block: Uint8Array, at: number, count: number): void => {
    for (let i = at; i < at + count * 24 && block[i] !== 0; i += 24) {
      addRange(ranges, tarNumber(block, i, 12), tarNumber(block, i + 12, 12));
    }
    more = block[at + count * 24] !== 0;
  };
  take(header, 386, 4);
  return {
    ranges,
    inData: false,
    get more() {
      return more;
    },
    block: (bytes) => take(bytes, 0, 21),
  };
}

/** The real size that a header of type `S` tells. */
export function oldGnuSize(header: Uint8Array): number {
  return tarNumber(header, 483, 12);
}

/** Of `GNU.sparse.map` (0.1), or of the pairs of `GNU.sparse.offset` and `GNU.sparse.numbytes` (0.0) put together to one. */
export function paxTextMap(text: string): SparseMap {
  const ranges: number[] = [];
  const numbers = text === "" ? [] : text.split(",", 2 * MAX_RANGES + 1);
  if (numbers.length > 2 * MAX_RANGES) throw tooMany();
  if (numbers.length % 2 !== 0) throw bad("a sparse map with half a pair");
  for (let i = 0; i < numbers.length; i += 2) addRange(ranges, decimal(numbers[i]), decimal(numbers[i + 1]));
  return {
    ranges,
    more: false,
    inData: false,
    block() {
      throw new Error("this map is whole");
    },
  };
}

/** Of the data's own first blocks (1.0): lines with the number of runs, and then each run's offset and length. */
export function paxDataMap(): SparseMap {
  const ranges: number[] = [];
  let count: number | undefined;
  let offset: number | undefined;
  let line = "";
  const more = (): boolean => count === undefined || ranges.length < 2 * count;
  return {
    ranges,
    inData: true,
    get more() {
      return more();
    },
    block(bytes) {
      for (let i = 0; i < BLOCK && more(); i++) {
        const byte = bytes[i] as number;
        if (byte !== 10) {
          line += String.fromCharCode(byte);
          if (line.length > 20) throw bad("a sparse map without numbers");
          continue;
        }
        const value = decimal(line);
        line = "";
        if (count === undefined) {
          if (value > MAX_RANGES) throw tooMany();
          count = value;
        } else if (offset === undefined) offset = value;
        else {
          addRange(ranges, offset, value);
          offset = undefined;
        }
      }
    },
  };
}

/**
 * Hears the stored bytes of a sparse file and tells `handler` the file: data and holes. Nothing is told before the whole map is known to fit
 * `stored` bytes of data and a file of `size`. @throws SlipwayError `BAD_ARCHIVE`
 */
export function expandSparse(
  handler: TarHandler,
  ranges: readonly number[],
  { stored, size }: { stored: number; size: number },
): Pick<TarHandler, "data" | "end"> {
  let end = 0;
  let sum = 0;
  for (let i = 0; i < ranges.length; i += 2) {
    const offset = ranges[i] as number;
    const length = ranges[i + 1] as number;
    if (offset < end) throw bad("a sparse map out of order");
    end = offset + length;
    sum += length;
  }
  if (end > size) throw bad("a sparse map that goes past the file's end");
  if (sum !== stored) throw bad("a sparse map that is not of the data");

  let next = 0;
  let position = 0;
  let left = 0;
  function hole(to: number): void {
    if (to > position) handler.hole(to - position);
    position = to;
  }
  return {
    data(chunk) {
      let at = 0;
      while (at < chunk.length) {
        while (left === 0) {
          left = ranges[next + 1] as number;
          if (left > 0) hole(ranges[next] as number);
          next += 2;
        }
        const take = Math.min(left, chunk.length - at);
        handler.data(chunk.subarray(at, at + take));
        position += take;
        left -= take;
        at += take;
      }
    },
    end() {
      hole(size);
      handler.end();
    },
  };
}

function addRange(ranges: number[], offset: number, length: number): void {
  if (offset < 0 || length < 0 || !Number.isSafeInteger(offset + length)) throw bad("a sparse map out of range");
  if (ranges.length >= 2 * MAX_RANGES) throw tooMany();
  ranges.push(offset, length);
}

function decimal(text: string | undefined): number {
  const value = Number(text);
  if (text === undefined || !/^\d+$/.test(text) || !Number.isSafeInteger(value)) {
    throw bad(`a sparse map with the number ${JSON.stringify(text)}`);
  }
  return value;
}

function tooMany(): Error {
  return bad(`a sparse map of more than ${MAX_RANGES} pieces`);
}
