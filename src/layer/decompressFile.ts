import { createReadStream, openSync, readSync } from "node:fs";
import type { Transform } from "node:stream";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { type CompressionFormat, compressionFormat } from "./compressionFormat.ts";

/** Measured: larger pieces gain nothing and cost memory. */
const CHUNK = 256 * 1024;

/**
 * Gives the uncompressed bytes of the file to `sink`, piece by piece; decompression goes on another thread while `sink` works. Memory does
 * not grow with the file. Resolves at the end; rejects with what `sink` threw. @throws SlipwayError `BAD_COMPRESSION`
 */
export async function decompressFile(
  file: { path: string } | { fd: number },
  sink: (chunk: Uint8Array) => void,
): Promise<void> {
  // A descriptor of the stream's own: when it is destroyed it closes it, whatever autoClose says, and reads may still be under way then.
  const fd = openSync("fd" in file ? `/proc/self/fd/${file.fd}` : file.path, "r");
  const start = new Uint8Array(8);
  readSync(fd, start, 0, start.length, 0);
  const format = compressionFormat(start);
  const source = createReadStream("", { fd, start: 0, highWaterMark: CHUNK, autoClose: true });
  const stream = format === "none" ? source : await decompressor(format);
  await new Promise<void>((resolve, reject) => {
    const fail = (error: unknown): void => {
      source.destroy();
      if (stream !== source) (stream as Transform).destroy();
      reject(error);
    };
    stream.on("data", (chunk: Uint8Array) => {
      try {
        sink(chunk);
      } catch (error) {
        fail(error);
      }
    });
    stream.on("end", resolve);
    source.on("error", fail);
    if (stream !== source) {
      stream.on("error", (error) => fail(badCompression(format, error)));
      source.pipe(stream as Transform);
    }
  });
}

export function badCompression(format: CompressionFormat, error: unknown): SlipwayError {
  const why = error instanceof Error ? error.message : String(error);
  return new SlipwayError("BAD_COMPRESSION", `the ${format} data is damaged: ${why}`, { cause: error });
}

/** Takes compressed bytes and gives the others. */
export async function decompressor(format: CompressionFormat): Promise<Transform> {
  const zlib = await import("node:zlib");
  if (format === "gzip") return zlib.createGunzip({ chunkSize: CHUNK });
  if (format === "zstd") return zlib.createZstdDecompress({ chunkSize: CHUNK });
  return externalDecompressor(format);
}

/** bzip2 and xz are not in the runtime: their own programs do it. */
async function externalDecompressor(format: CompressionFormat): Promise<Transform> {
  const { spawn } = await import("node:child_process");
  const { Duplex } = await import("node:stream");
  const child = spawn(format, ["-dc"], { stdio: ["pipe", "pipe", "ignore"] });
  const both = Duplex.from({ writable: child.stdin, readable: child.stdout } as never);
  child.on("error", () => {
    const name = format === "xz" ? "xz-utils" : format;
    both.destroy(new Error(`the program ${format} is needed and not installed (apt-get install ${name})`));
  });
  child.on("exit", (code) => {
    if (code !== 0) both.destroy(new Error(`${format} ended with ${code}`));
  });
  return both as unknown as Transform;
}
