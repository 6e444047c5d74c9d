import { createLinux } from "../linux/createLinux.ts";

/** Whether a person is at the descriptor. The runtime's own `process.stderr.isTTY` takes 13 ms, for all of its streams and sockets. */
export function isTerminal(fd: 0 | 1 | 2, linux = createLinux()): boolean {
  return linux.isTerminal(fd);
}
