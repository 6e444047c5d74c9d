import { read } from "node:fs";

/**
 * Bytes from a descriptor at its own place, without holding up the event loop; 0 at its end. Not by `promisify`, which comes with a library that
 * takes as long to load as a database to open.
 */
export function readSome(fd: number, chunk: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) =>
    read(fd, chunk, 0, chunk.length, null, (error, bytesRead) => (error === null ? resolve(bytesRead) : reject(error))),
  );
}
