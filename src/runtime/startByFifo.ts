import { closeSync, constants, openSync, unlinkSync, writeSync } from "node:fs";

/**
 * Lets a container go that crun has created: its first process waits for a byte in `exec.fifo`. What `crun start` does, without its
 * start-up time. False where there is no such FIFO or nobody reads it; the container is then to be started by the runtime.
 */
export function startByFifo(stateDirectory: string): boolean {
  const path = `${stateDirectory}/exec.fifo`;
  try {
    const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK); // ENXIO where nobody reads, instead of waiting
    try {
      writeSync(fd, new Uint8Array(1));
      unlinkSync(path); // by which crun knows that the container runs
    } finally {
      closeSync(fd);
    }
    return true;
  } catch {
    return false;
  }
}
