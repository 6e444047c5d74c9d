/** The last lines of a log: never more than so many lines and characters, but the latest line in any case. */
export interface LogTail {
  push(lines: readonly string[]): void;
  last(count: number): string[];
}

export function createLogTail({ lines: limit, characters: room }: { lines: number; characters: number }): LogTail {
  let kept: string[] = [];
  let from = 0;
  let characters = 0;
  return {
    push(lines) {
      for (const line of lines) {
        kept.push(line);
        characters += line.length;
        while (kept.length - from > limit || (characters > room && kept.length - from > 1)) {
          characters -= (kept[from] as string).length;
          kept[from++] = "";
        }
        if (from > limit) {
          kept = kept.slice(from);
          from = 0;
        }
      }
    },
    last: (count) => kept.slice(Math.max(from, kept.length - count)),
  };
}
