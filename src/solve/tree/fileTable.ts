import { S_IFBLK, S_IFCHR, S_IFMT } from "../../linux/constants.ts";
import type { Stat } from "../../linux/Linux.ts";

/** Rows to a block: a table grows without being copied. */
const BLOCK_BITS = 10;
const BLOCK = 1 << BLOCK_BITS;
const IN_BLOCK = BLOCK - 1;
const NAME_BLOCK = 64 * 1024;
const TWO_32 = 0x1_0000_0000;

/** Numbers of a row: 64 bits each. A device has no size, and its number stands in that place. */
const [INO, SIZE, MTIME, CTIME, NUMBERS] = [0, 1, 2, 3, 4];
/** Words of a row. `PLACE` is not of the row itself: it is which row has that place among the children of a directory. */
const [MODE, NLINK, UID, GID, MTIME_NSEC, CTIME_NSEC, DEV, NAME, PARENT, FIRST, COUNT, PLACE, CONTENT, WORDS] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
];
const NOT_READ = 0xffffffff;

/**
 * The files of a tree as rows of numbers, about 90 bytes each: there may be a million of them, and a build that has nothing to do walks them
 * once. Rows are only added; what is in one directory stands together.
 */
export interface FileTable {
  readonly length: number;
  /** The row of a file; its name are the bytes from `start` to `end`. `parent` is a row, -1 for the root, which is the first. */
  add(name: Uint8Array, start: number, end: number, stat: FileStat, parent: number): number;
  /** The rows from `first` on are what the directory `parent` has, but for those that `hidden` says are left out. Sorts them by their names' bytes. */
  setChildren(parent: number, first: number, end: number, hidden?: (row: number) => boolean): void;
  /** How many children the directory has; -1 when `setChildren` was not called for it. */
  count(parent: number): number;
  /** The row of a child by its place. */
  child(parent: number, place: number): number;
  /** The row of the child of this name; -1: none. */
  find(parent: number, name: Uint8Array): number;
  /** For views of rows. */
  readonly blocks: Blocks;
}

/** What is kept of a file's stat. */
export type FileStat = Omit<Stat, "blocks">;

/** What a file is and how it is called, as a row of a table says. A view that can be moved from row to row. */
export class FileRow implements FileStat {
  row = 0;
  readonly #table: Blocks;
  #numbers!: Float64Array;
  #words!: Uint32Array;
  /** Where the row begins. */
  #n = 0;
  #w = 0;

  constructor(table: Blocks, row: number) {
    this.#table = table;
    this.move(row);
  }

  move(row: number): this {
    const block = row >>> BLOCK_BITS;
    this.row = row;
    this.#numbers = this.#table.numbers[block] as Float64Array;
    this.#words = this.#table.words[block] as Uint32Array;
    this.#n = (row & IN_BLOCK) * NUMBERS;
    this.#w = (row & IN_BLOCK) * WORDS;
    return this;
  }

  #word(column: number): number {
    return this.#words[this.#w + column] as number;
  }

  #number(column: number): number {
    return this.#numbers[this.#n + column] as number;
  }

  get ino(): number {
    return this.#number(INO);
  }
  get size(): number {
    return isDevice(this.mode) ? 0 : this.#number(SIZE);
  }
  get mtimeSec(): number {
    return this.#number(MTIME);
  }
  get ctimeSec(): number {
    return this.#number(CTIME);
  }
  get mode(): number {
    return this.#word(MODE);
  }
  get nlink(): number {
    return this.#word(NLINK);
  }
  get uid(): number {
    return this.#word(UID);
  }
  get gid(): number {
    return this.#word(GID);
  }
  get mtimeNsec(): number {
    return this.#word(MTIME_NSEC);
  }
  get ctimeNsec(): number {
    return this.#word(CTIME_NSEC);
  }
  get rdevMajor(): number {
    return isDevice(this.mode) ? Math.floor(this.#number(SIZE) / TWO_32) : 0;
  }
  get rdevMinor(): number {
    return isDevice(this.mode) ? this.#number(SIZE) % TWO_32 : 0;
  }
  get dev(): number {
    return this.#table.devices[this.#word(DEV)] as number;
  }
  /** -1 for the root. */
  get parentRow(): number {
    return this.row === 0 ? -1 : this.#word(PARENT);
  }
  /** What is known of its bytes: a number whose meaning is the writer's, 0 at first. */
  get content(): number {
    return this.#word(CONTENT);
  }
  set content(value: number) {
    this.#words[this.#w + CONTENT] = value;
  }
  /** The name's bytes, in `nameBytes` from here on. */
  get nameStart(): number {
    return (this.#word(NAME) % NAME_BLOCK) + 2;
  }
  get nameLength(): number {
    const bytes = this.nameBytes;
    const at = this.#word(NAME) % NAME_BLOCK;
    return (bytes[at] as number) + (bytes[at + 1] as number) * 256;
  }
  get nameBytes(): Buffer {
    return this.#table.names[Math.floor(this.#word(NAME) / NAME_BLOCK)] as Buffer;
  }

  /** The file is that now: the stat as it was read with its bytes. */
  set(stat: FileStat): void {
    const { mode } = stat;
    this.#numbers[this.#n + INO] = stat.ino;
    this.#numbers[this.#n + SIZE] = isDevice(mode) ? stat.rdevMajor * TWO_32 + stat.rdevMinor : stat.size;
    this.#numbers[this.#n + MTIME] = stat.mtimeSec;
    this.#numbers[this.#n + CTIME] = stat.ctimeSec;
    this.#words[this.#w + MODE] = mode;
    this.#words[this.#w + NLINK] = stat.nlink;
    this.#words[this.#w + UID] = stat.uid;
    this.#words[this.#w + GID] = stat.gid;
    this.#words[this.#w + MTIME_NSEC] = stat.mtimeNsec;
    this.#words[this.#w + CTIME_NSEC] = stat.ctimeNsec;
    this.#words[this.#w + DEV] = this.#table.device(stat.dev);
  }
}

/** Where rows lie. */
export interface Blocks {
  numbers: Float64Array[];
  words: Uint32Array[];
  names: Buffer[];
  /** Device numbers, each once. */
  devices: number[];
  device(dev: number): number;
}

export function createFileTable(): FileTable {
  const numbers: Float64Array[] = [];
  const words: Uint32Array[] = [];
  const names: Buffer[] = [];
  const devices: number[] = [];
  const blocks: Blocks = { numbers, words, names, devices, device };
  let length = 0;
  /** The device that was asked for last: neighbours are on one. */
  let latest = 0;
  let nameEnd = NAME_BLOCK;
  /** Of the directory that is being sorted: its rows, their names' first bytes as a number, and room to sort them in. */
  let order = new Uint32Array(256);
  let spare = new Uint32Array(256);
  let keys = new Float64Array(256);
  let writer: FileRow | undefined;

  function device(dev: number): number {
    if (devices[latest] === dev) return latest;
    latest = devices.indexOf(dev);
    if (latest < 0) latest = devices.push(dev) - 1;
    return latest;
  }

  function word(row: number, column: number): number {
    return (words[row >>> BLOCK_BITS] as Uint32Array)[(row & IN_BLOCK) * WORDS + column] as number;
  }

  function setWord(row: number, column: number, value: number): void {
    (words[row >>> BLOCK_BITS] as Uint32Array)[(row & IN_BLOCK) * WORDS + column] = value;
  }

  function addName(bytes: Uint8Array, start: number, end: number): number {
    const size = end - start;
    if (nameEnd + 2 + size > NAME_BLOCK) {
      names.push(Buffer.alloc(NAME_BLOCK));
      nameEnd = 0;
    }
    const block = names[names.length - 1] as Uint8Array;
    const at = nameEnd;
    block[at] = size;
    block[at + 1] = size >>> 8;
    for (let i = 0; i < size; i++) block[at + 2 + i] = bytes[start + i] as number;
    nameEnd += 2 + size;
    return (names.length - 1) * NAME_BLOCK + at;
  }

  /** The first six bytes of a name, as a number that sorts as they do. */
  function keyOf(row: number): number {
    const name = word(row, NAME);
    const bytes = names[Math.floor(name / NAME_BLOCK)] as Uint8Array;
    const at = name % NAME_BLOCK;
    const size = (bytes[at] as number) + (bytes[at + 1] as number) * 256;
    let key = 0;
    for (let i = 0; i < 6; i++) key = key * 256 + (i < size ? (bytes[at + 2 + i] as number) : 0);
    return key;
  }

  function compareNames(a: number, b: number): number {
    const nameA = word(a, NAME);
    const bytesB = word(b, NAME);
    return compareBytes(
      names[Math.floor(nameA / NAME_BLOCK)] as Uint8Array,
      nameA % NAME_BLOCK,
      names[Math.floor(bytesB / NAME_BLOCK)] as Uint8Array,
      bytesB % NAME_BLOCK,
    );
  }

  /** Merges runs that double, from `order` to `spare` and back. What is sorted are places from `first` on: `keys` has the same. */
  function sort(first: number, count: number): void {
    for (let width = 1; width < count; width *= 2) {
      for (let start = 0; start < count; start += 2 * width) {
        const middle = Math.min(start + width, count);
        const end = Math.min(start + 2 * width, count);
        let left = start;
        let right = middle;
        for (let at = start; at < end; at++) {
          const takeLeft =
            left < middle && (right >= end || !isAfter(first, order[left] as number, order[right] as number));
          spare[at] = order[takeLeft ? left++ : right++] as number;
        }
      }
      [order, spare] = [spare, order];
    }
  }

  function isAfter(first: number, a: number, b: number): boolean {
    const keyA = keys[a - first] as number;
    const keyB = keys[b - first] as number;
    return keyA === keyB ? compareNames(a, b) > 0 : keyA > keyB;
  }

  return {
    get length() {
      return length;
    },
    add(name: Uint8Array, start: number, end: number, stat: FileStat, parent: number): number {
      const row = length++;
      if ((row & IN_BLOCK) === 0) {
        numbers.push(new Float64Array(BLOCK * NUMBERS));
        words.push(new Uint32Array(BLOCK * WORDS));
      }
      writer = writer === undefined ? new FileRow(blocks, row) : writer.move(row);
      writer.set(stat);
      setWord(row, NAME, addName(name, start, end));
      setWord(row, PARENT, parent);
      setWord(row, COUNT, NOT_READ);
      return row;
    },
    setChildren(parent: number, first: number, end: number, hidden?: (row: number) => boolean): void {
      if (order.length < end - first) {
        const room = 2 * (end - first);
        order = new Uint32Array(room);
        spare = new Uint32Array(room);
        keys = new Float64Array(room);
      }
      let count = 0;
      for (let row = first; row < end; row++) {
        if (hidden?.(row) === true) continue;
        order[count++] = row;
        keys[row - first] = keyOf(row);
      }
      sort(first, count);
      for (let i = 0; i < count; i++) setWord(first + i, PLACE, order[i] as number);
      setWord(parent, FIRST, first);
      setWord(parent, COUNT, count);
    },
    count(parent: number): number {
      const count = word(parent, COUNT);
      return count === NOT_READ ? -1 : count;
    },
    child: (parent: number, place: number) => word(word(parent, FIRST) + place, PLACE),
    find(parent: number, name: Uint8Array): number {
      const first = word(parent, FIRST);
      const wanted = new Uint8Array(name.length + 2);
      wanted[0] = name.length;
      wanted[1] = name.length >>> 8;
      wanted.set(name, 2);
      let low = 0;
      let high = word(parent, COUNT) - 1;
      while (low <= high) {
        const middle = (low + high) >>> 1;
        const row = word(first + middle, PLACE);
        const at = word(row, NAME);
        const found = compareBytes(names[Math.floor(at / NAME_BLOCK)] as Uint8Array, at % NAME_BLOCK, wanted, 0);
        if (found === 0) return row;
        if (found < 0) low = middle + 1;
        else high = middle - 1;
      }
      return -1;
    },
    blocks,
  };
}

/** Two names, each behind its length of two bytes. */
function compareBytes(a: Uint8Array, atA: number, b: Uint8Array, atB: number): number {
  const lengthA = (a[atA] as number) + (a[atA + 1] as number) * 256;
  const lengthB = (b[atB] as number) + (b[atB + 1] as number) * 256;
  const shorter = Math.min(lengthA, lengthB);
  for (let i = 2; i < shorter + 2; i++) {
    const difference = (a[atA + i] as number) - (b[atB + i] as number);
    if (difference !== 0) return difference;
  }
  return lengthA - lengthB;
}

function isDevice(mode: number): boolean {
  const type = mode & S_IFMT;
  return type === S_IFCHR || type === S_IFBLK;
}
