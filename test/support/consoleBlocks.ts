/** One command of a ```console block, with what the page says that it prints. */
export interface ConsoleCommand {
  /** As typed at the shell; lines that go on (`> `) are joined by newlines. */
  command: string;
  /** Lines of output, as written. */
  output: string[];
  /** What is typed inside the container, each with its output. Empty for a command that is not interactive. */
  inside: { command: string; output: string[] }[];
  line: number;
}

const insidePrompt = /^(?:root@[0-9a-f]{12}:\/#|\/ #) (.*)$/;

/** The commands of all ```console blocks of a markdown text, in order. */
export function consoleBlocks(markdown: string): ConsoleCommand[] {
  const commands: ConsoleCommand[] = [];
  let inBlock = false;
  markdown.split("\n").forEach((text, index) => {
    if (text.startsWith("```")) {
      inBlock = !inBlock && text === "```console";
      return;
    }
    if (!inBlock) return;
    const current = commands.at(-1);
    const inside = insidePrompt.exec(text)?.[1];
    if (text.startsWith("$ ")) commands.push({ command: text.slice(2), output: [], inside: [], line: index + 1 });
    else if (current === undefined) throw new Error(`line ${index + 1}: output before the first command`);
    else if (/^>( |$)/.test(text)) current.command += `\n${text.slice(2)}`;
    else if (inside !== undefined) current.inside.push({ command: inside, output: [] });
    else (current.inside.at(-1) ?? current).output.push(text);
  });
  return commands;
}

/**
 * Finds the page's output lines in what was really printed: in their order, other lines may stand between. Numbers, times and IDs may differ,
 * runs of blanks too, `…` stands for anything. IDs on the page are bound in `ids` to the real ones, by their first twelve digits.
 */
export function expectOutput(written: string[], printed: string, ids: Map<string, string>): void {
  const lines = printed.split("\n");
  let at = 0;
  for (const line of written) {
    if (line.trim() === "…" || line.trim() === "") continue;
    const { pattern, found } = toPattern(line, ids);
    let match: RegExpExecArray | null = null;
    while (at < lines.length && match === null) match = pattern.exec(lines[at++]!.trim());
    if (match === null)
      throw new Error(`this line of the page was not printed: ${line}\nprinted:\n${printed.slice(-3000)}`);
    found.forEach((id, index) => void ids.set(id.slice(0, 12), match![index + 1]!.slice(0, 12)));
  }
}

/** The command with the page's IDs replaced by the real ones. */
export function withRealIDs(command: string, ids: Map<string, string>): string {
  return command.replace(/\b[0-9a-f]{12}\b/g, (id) => ids.get(id) ?? id);
}

function toPattern(line: string, ids: Map<string, string>): { pattern: RegExp; found: string[] } {
  const found: string[] = [];
  const token = /\b([0-9a-f]{64}|[0-9a-f]{12})\b|\d+(?:\.\d+)*|…|\s+|[\s\S]/g;
  const source = Array.from(line.trim().matchAll(token), ([text, id]) => {
    if (id !== undefined) {
      const known = ids.get(id.slice(0, 12));
      if (known !== undefined) return `${known}[0-9a-f]{${id.length - 12}}`;
      found.push(id);
      return `([0-9a-f]{${id.length}})`;
    }
    if (/^\d/.test(text)) return "\\d+(?:\\.\\d+)*";
    if (text === "…") return ".*";
    // A column that is "…" on the page may be empty: the blanks around it, too.
    if (/^\s/.test(text)) return "\\s*";
    return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
  }).join("");
  return { pattern: new RegExp(`^${source}$`), found };
}
