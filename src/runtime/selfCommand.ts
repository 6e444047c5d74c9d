/** The command line that runs slipway again with these arguments: the compiled executable, or Bun with our source. */
export function selfCommand(args: string[]): [program: string, ...args: string[]] {
  const compiled = Bun.main.startsWith("/$bunfs/");
  return compiled ? [process.execPath, ...args] : [process.execPath, `${import.meta.dir}/../main.ts`, ...args];
}
