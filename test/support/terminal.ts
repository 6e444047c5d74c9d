/** A program on a pseudo-terminal, as a person at a keyboard has it. */
export interface TerminalSession {
  /** Everything shown so far, `\r` and control sequences taken out. */
  text(): string;
  /** Resolves to what was shown up to and with the match, since the last match; throws, with what came instead, when it does not come in time. */
  waitFor(pattern: RegExp, timeoutMs?: number): Promise<string>;
  type(text: string): void;
  resize(columns: number, rows: number): void;
  readonly exited: Promise<number>;
}

export async function withTerminal<T>(
  command: string[],
  options: { env: Record<string, string>; cwd?: string; columns?: number },
  work: (session: TerminalSession) => Promise<T>,
): Promise<T> {
  let shown = "";
  let seen = 0;
  let wake = () => {};
  const decoder = new TextDecoder();
  const child = Bun.spawn(command, {
    env: { ...options.env, TERM: "xterm" },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    terminal: {
      cols: options.columns ?? 120,
      rows: 40,
      data(_terminal, bytes) {
        shown = plain(shown + decoder.decode(bytes, { stream: true }));
        wake();
      },
    },
  });
  const terminal = child.terminal!;
  void child.exited.then(() => wake());

  const session: TerminalSession = {
    text: () => shown,
    async waitFor(pattern, timeoutMs = 20_000) {
      const deadline = Date.now() + timeoutMs;
      for (;;) {
        const rest = shown.slice(seen);
        const match = pattern.exec(rest);
        if (match !== null) {
          const end = match.index + match[0].length;
          seen += end;
          return rest.slice(0, end);
        }
        const left = deadline - Date.now();
        if (left <= 0)
          throw new Error(`${pattern} did not come in ${timeoutMs} ms. Shown instead:\n${rest.slice(-2000)}`);
        if (child.exitCode !== null)
          throw new Error(`${command.join(" ")} ended with ${child.exitCode} before ${pattern}:\n${rest.slice(-2000)}`);
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, Math.min(left, 1000));
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
    },
    type: (text) => void terminal.write(text),
    resize: (columns, rows) => terminal.resize(columns, rows),
    exited: child.exited,
  };
  try {
    return await work(session);
  } finally {
    if (child.exitCode === null) {
      terminal.close();
      child.kill("SIGKILL");
      await child.exited;
    }
    if (!terminal.closed) terminal.close();
  }
}

/** Without colours, cursor movements, window titles and carriage returns. */
function plain(text: string): string {
  return text.replace(/\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[=>()][0-9A-B]?|\r/g, "");
}
