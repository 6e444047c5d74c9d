import { AT_FDCWD, O_NOCTTY, O_RDWR } from "../linux/constants.ts";
import type { Linux } from "../linux/Linux.ts";
import { isErrno } from "../linux/LinuxError.ts";

/** How often a process that is being started is looked at until it is on its own terminal, milliseconds. */
const LOOK_MS = 20;

/**
 * Gives a container's terminal the size of the user's, whenever that changes, and once when it is there: what changes between the writing of
 * the spec and the start would be lost. The runtime's own foreground (crun 1.8) follows no change at all. `pid`: the container's first process,
 * once it is known. The result ends it.
 */
export function followWindowSize(
  linux: Linux,
  { terminal, pid }: { terminal: number; pid: () => number | undefined },
): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;

  function untilTold(): void {
    if (!tell()) timer = setTimeout(untilTold, LOOK_MS);
  }

  /** False where the process has no terminal of its own yet. */
  function tell(): boolean {
    const first = pid();
    if (first === undefined) return false;
    let own: number;
    try {
      own = linux.openat(AT_FDCWD, `/proc/${first}/fd/0`, O_RDWR | O_NOCTTY);
    } catch (error) {
      if (isErrno(error, "ENOENT", "EACCES", "EIO", "ENXIO")) return false; // starting, or ended
      throw error;
    }
    try {
      if (!linux.isTerminal(own) || isSame(own)) return false;
      const size = linux.getWindowSize(terminal);
      if (size.rows > 0 && size.columns > 0) linux.setWindowSize(own, size);
      return true;
    } finally {
      linux.close(own);
    }
  }

  /** It has the user's terminal itself, from us. Each container has a file system of terminals. */
  function isSame(own: number): boolean {
    const [one, other] = [linux.statat(own, ""), linux.statat(terminal, "")];
    return one.dev === other.dev && one.ino === other.ino;
  }

  process.on("SIGWINCH", tell);
  untilTold();
  return () => {
    clearTimeout(timer);
    process.off("SIGWINCH", tell);
  };
}
