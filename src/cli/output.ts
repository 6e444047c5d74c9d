import { writeSync } from "node:fs";
import type { Terminal } from "./runCli.ts";

/** Standard output and error, written at once and in order. A reader that has gone (`slipway ps | head -1`) is no error. */
export function createOutput(): Terminal {
  return {
    out: (text) => write(1, text),
    err: (text) => write(2, text),
  };
}

function write(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === "EPIPE") process.exit(0);
      if (code !== "EAGAIN") throw error;
      Bun.sleepSync(1); // a full pipe of a slow reader
    }
  }
}
