import { expect, test } from "bun:test";
import { S_IFCHR, S_IFREG } from "../../linux/constants.ts";
import { createFileTable, FileRow, type FileStat, type FileTable } from "./fileTable.ts";

const stat: FileStat = {
  dev: 0x12345,
  ino: 2 ** 52 + 1,
  mode: S_IFREG | 0o644,
  nlink: 1,
  uid: 4_000_000_000,
  gid: 7,
  size: 2 ** 45 + 3,
  rdevMajor: 0,
  rdevMinor: 0,
  mtimeSec: -5,
  mtimeNsec: 999_999_999,
  ctimeSec: 2 ** 33,
  ctimeNsec: 1,
};

function add(
  files: FileTable,
  name: string,
  { parent = 0, ...rest }: Partial<FileStat> & { parent?: number } = {},
): number {
  const bytes = Buffer.from(`<${name}>`, "latin1");
  return files.add(bytes, 1, bytes.length - 1, { ...stat, ...rest }, parent);
}

function nameOf(files: FileTable, row: number): string {
  const { nameBytes, nameStart, nameLength } = new FileRow(files.blocks, row);
  return Buffer.from(nameBytes.subarray(nameStart, nameStart + nameLength)).toString("latin1");
}

test("a row gives back what a file's stat was, devices and times before 1970 too", () => {
  const files = createFileTable();
  const device = { mode: S_IFCHR | 0o600, rdevMajor: 4095, rdevMinor: 0xfffff, size: 0, dev: 1 };
  const rows = [add(files, ""), add(files, "null", device), add(files, "file", { uid: 0, dev: 2 })];
  const views = rows.map((row) => new FileRow(files.blocks, row));
  const said = views.map((view) =>
    Object.fromEntries(Object.keys(stat).map((key) => [key, view[key as keyof FileStat]])),
  );
  expect(said).toEqual([stat, { ...stat, ...device }, { ...stat, uid: 0, dev: 2 }]);
  expect(views.map(({ parentRow }) => parentRow)).toEqual([-1, 0, 0]);
});

test("the children of many directories are sorted by their names' bytes and found by name, but for those left out", () => {
  const files = createFileTable();
  add(files, "");
  const names = [
    "b",
    "a",
    "abcdefg",
    "abcdef",
    "abcdefa",
    "ab",
    "\xff",
    "\x01",
    "z".repeat(255),
    "a.b",
    "A",
    "é",
    "hidden",
  ];
  for (let i = 0; i < 3000; i++) names.push(`file${(i * 7919) % 3000}`);
  const sorted = names.filter((name) => name !== "hidden").sort();
  const directories = Array.from({ length: 3 }, (_, i) => add(files, `d${i}`));
  for (const parent of directories) {
    expect(files.count(parent)).toBe(-1);
    const first = files.length;
    for (const name of names) add(files, name, { parent });
    files.setChildren(parent, first, files.length, (row) => nameOf(files, row) === "hidden");
  }
  for (const parent of directories) {
    expect(files.count(parent)).toBe(sorted.length);
    const children = Array.from({ length: sorted.length }, (_, place) => files.child(parent, place));
    expect(children.map((row) => nameOf(files, row))).toEqual(sorted);
    for (const name of [...names, "none", "", "abc", "zz"]) {
      const row = files.find(parent, Buffer.from(name, "latin1"));
      expect(row < 0 ? undefined : nameOf(files, row)).toBe(sorted.includes(name) ? name : undefined);
    }
  }
});
