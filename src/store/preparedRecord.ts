import type { PreparedFile } from "../layer/copyMerged.ts";
import type { Stat } from "../linux/Linux.ts";

/** Name, layer, the numbers of the stat, and what is in a directory. */
type Row = [name: string, layer: number, ...stat: number[], children: Row[] | 0];

/** All that a file is told by later, in the order of a row. */
const KEPT = [
  "ino",
  "mode",
  "uid",
  "gid",
  "size",
  "rdevMajor",
  "rdevMinor",
  "mtimeSec",
  "mtimeNsec",
  "ctimeSec",
  "ctimeNsec",
] as const satisfies readonly (keyof Stat)[];

/** What a tree was when it was prepared, as a text that outlives the process. */
export function preparedText(root: PreparedFile): string {
  return JSON.stringify(row("", root));
}

export function parsePrepared(text: string): PreparedFile {
  return file(JSON.parse(text) as Row);
}

function row(name: string, { stat, layer, children }: PreparedFile): Row {
  const rows = children === undefined ? 0 : [...children].map(([each, child]) => row(each, child));
  return [name, layer, ...KEPT.map((key) => stat[key]), rows] as unknown as Row;
}

function file(values: Row): PreparedFile {
  const stat = { dev: 0, nlink: 1, blocks: 0 } as Stat;
  for (const [i, key] of KEPT.entries()) stat[key] = values[i + 2] as number;
  const rows = values[KEPT.length + 2] as Row[] | 0;
  return {
    stat,
    layer: values[1],
    ...(rows === 0 ? {} : { children: new Map(rows.map((each) => [each[0], file(each)])) }),
  };
}
