import { writeSync } from "node:fs";
import type { Streams } from "../engine/Engine.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { isTerminal } from "./isTerminal.ts";

/** This program's own streams, for a process in the foreground. */
export function ownStreams(options: { interactive: boolean; tty: boolean }): Streams {
  const streams: Streams = { stdout: (bytes) => write(1, bytes), stderr: (bytes) => write(2, bytes) };
  if (options.interactive) streams.stdin = 0;
  if (options.tty && isTerminal(0)) streams.terminal = 0;
  return streams;
}

/** A terminal is promised to the process, and what comes in is none: a script that does not know what it does. @throws SlipwayError `NO_TERMINAL` */
export function checkTerminal({ tty, interactive }: { tty: boolean; interactive: boolean }): void {
  if (!tty || !interactive || isTerminal(0)) return;
  throw new SlipwayError("NO_TERMINAL", "the input device is not a TTY", {
    hint: "Leave out -t where input comes from a pipe or a file.",
  });
}

function write(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === "EPIPE") return; // nobody reads any more; the process goes on
      if (code !== "EAGAIN") throw error;
      Bun.sleepSync(1);
    }
  }
}
