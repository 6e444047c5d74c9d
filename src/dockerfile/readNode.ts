import type { Node } from "./node.ts";
import { valueReaders } from "./readValues.ts";
import { splitCommand } from "./splitCommand.ts";
import { trimSpace } from "./space.ts";

/** Reads one joined line as a node whose place is not known yet. @throws Error with the reason only */
export function readNode(line: string, mark: string): Node {
  const { name, flags, rest } = splitCommand(line);
  const node: Node = {
    name,
    flags,
    values: [],
    json: false,
    heredocs: [],
    original: trimSpace(line),
    comments: [],
    start: 1,
    end: 1,
  };
  const kind = name.toLowerCase();
  if (kind === "onbuild") {
    if (rest !== "") node.trigger = readTrigger(rest, mark);
    return node;
  }
  const read = Object.hasOwn(valueReaders, kind) ? valueReaders[kind] : undefined;
  return read === undefined ? node : Object.assign(node, read(rest, mark));
}

/** ONBUILD ONBUILD is refused later, with words of its own; here it must only not go ever deeper. */
function readTrigger(rest: string, mark: string): Node {
  const { name } = splitCommand(rest);
  if (name.toLowerCase() !== "onbuild") return readNode(rest, mark);
  return { ...readNode("onbuild", mark), name, original: rest };
}
