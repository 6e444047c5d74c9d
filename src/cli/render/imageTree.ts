import type { Engine, ImageSummary } from "../../engine/Engine.ts";
import { imageTree, type TreeBranch } from "../../engine/images/imageTree.ts";
import { humanSize } from "./humanSize.ts";
import { table } from "./table.ts";

/** Docker's tree: an image with its names, and below it its platforms. `U`: a container is made of it. */
export function printImageTree(out: (text: string) => void, engine: Engine, found: readonly ImageSummary[]): void {
  const rows: string[][] = [];
  const row = (name: string, { id, diskUsage, contentSize, isUsed }: Omit<TreeBranch, "platform">): void => {
    const short = id === undefined ? "-" : id.slice("sha256:".length, "sha256:".length + 12);
    rows.push([name, short, humanSize(diskUsage), humanSize(contentSize), isUsed ? "U" : ""]);
  };
  for (const node of imageTree(engine, found)) {
    const names = node.names.length === 0 ? ["<untagged>"] : node.names;
    for (const name of names.slice(0, -1)) rows.push([name, "", "", "", ""]);
    row(names.at(-1) as string, node);
    for (const [i, branch] of node.platforms.entries())
      row(`${i === node.platforms.length - 1 ? "└─" : "├─"} ${branch.platform}`, branch);
  }
  out(table(["IMAGE", "ID", "DISK USAGE", "CONTENT SIZE", "EXTRA"], rows));
}
