/** One line from the terminal on standard input. `hidden`: it is not shown. Ctrl-C rejects with the signal's reason, Ctrl-D ends the line. */
export function prompt(
  question: string,
  { out, signal, hidden = false }: { out: (text: string) => void; signal: AbortSignal; hidden?: boolean },
): Promise<string> {
  const { stdin } = process;
  // Before the question: who answers fast is not shown either. With the terminal's own echo off: characters come one by one, and what is shown of them is shown here.
  stdin.setRawMode(true);
  stdin.resume();
  out(question);
  let typed = "";
  return new Promise<string>((resolve, reject) => {
    const end = (): void => {
      signal.removeEventListener("abort", aborted);
      stdin.off("data", take);
      stdin.setRawMode(false);
      stdin.pause();
      out("\n");
    };
    const aborted = (): void => {
      end();
      reject(signal.reason);
    };
    const take = (bytes: Buffer): void => {
      for (const letter of bytes.toString("utf8")) {
        if (letter === "\r" || letter === "\n" || letter === "\x04") {
          end();
          resolve(typed);
          return;
        }
        if (letter === "\x03") {
          process.kill(process.pid, "SIGINT"); // in raw mode the key sends none
          return;
        }
        if (letter === "\x7f" || letter === "\b") {
          if (typed !== "" && !hidden) out("\b \b");
          typed = [...typed].slice(0, -1).join("");
        } else if (letter >= " ") {
          typed += letter;
          if (!hidden) out(letter);
        }
      }
    };
    stdin.on("data", take);
    signal.addEventListener("abort", aborted);
  });
}
