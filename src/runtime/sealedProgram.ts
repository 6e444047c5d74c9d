import { closeSync, openSync, readSync } from "node:fs";
import type { Linux } from "../linux/Linux.ts";

/**
 * A path that starts `program` from a sealed copy in memory, for as long as this process lives. crun and runc will run from nothing else
 * (a container could overwrite the file that it was started by, CVE-2019-5736): started by their path they first make such a copy and execute
 * it, at every start, which is half of their start-up time. What is no ELF file, or cannot be copied, keeps its own path.
 */
export function sealedProgram(linux: Linux, program: string): string {
  if (!isElf(program)) return program;
  try {
    const from = openSync(program, "r");
    try {
      const fd = linux.memfdCreate(SEALED_NAME);
      while (linux.sendfile(fd, from, COPY_BYTES) > 0);
      linux.addSeals(fd);
      return `/proc/${process.pid}/fd/${fd}`;
    } finally {
      closeSync(from);
    }
  } catch {
    return program; // a kernel without memfd, or one that forbids to execute it
  }
}

const COPY_BYTES = 64 << 20;

/** How /proc/PID/exe shows such a process: `/memfd:NAME (deleted)`. */
export const SEALED_NAME = "slipway-oci-runtime";

function isElf(path: string): boolean {
  const magic = Buffer.alloc(4);
  const fd = openSync(path, "r");
  try {
    return readSync(fd, magic) === 4 && magic.toString("latin1") === "\x7fELF";
  } finally {
    closeSync(fd);
  }
}
