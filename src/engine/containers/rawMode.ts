/** Puts a terminal into raw mode; returns what brings it back, as the end of this process does, too. */
export function enterRawMode(fd: number): () => void {
  const { ReadStream } = require("node:tty") as typeof import("node:tty");
  const input = fd === 0 ? process.stdin : new ReadStream(fd);
  input.setRawMode(true);
  const restore = (): void => void input.setRawMode(false);
  process.on("exit", restore);
  return () => {
    process.off("exit", restore);
    restore();
    input.pause();
  };
}
