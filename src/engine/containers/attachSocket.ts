import type { Linux } from "../../linux/Linux.ts";

const PACKET = 8192; // conmon takes up to 32 KiB at once, and a pipe's atomic write is 4: small packets keep both moving
const STDERR = 3; // first byte of a packet: 2 is stdout or a terminal, 3 stderr

export interface AttachSocket {
  /** To the container's standard input. */
  write(bytes: Uint8Array): void;
  /** Its end, after what was written. */
  endInput(): void;
  close(): void;
  /** When the other side has closed: the container has ended, or conmon has. */
  readonly closed: Promise<void>;
  /** Resolves when little is waiting to be written, so that a fast sender does not fill the memory. */
  drained(): Promise<void>;
}

/** conmon's attach socket at `path` (SOCK_SEQPACKET; each packet carries its stream in its first byte). */
export async function connectAttachSocket(
  linux: Linux,
  path: string,
  onOutput: (stream: 1 | 2, bytes: Uint8Array) => void,
): Promise<AttachSocket> {
  const queue: Uint8Array[] = [];
  const waiting: (() => void)[] = [];
  const { promise: closed, resolve: onClosed } = Promise.withResolvers<void>();
  let ended = false;
  const flush = (socket: Bun.Socket): void => {
    while (queue.length > 0) {
      const sent = socket.write(queue[0] as Uint8Array);
      if (sent <= 0) break; // a packet goes whole or not at all; `drain` comes
      queue.shift();
    }
    if (queue.length > 0) return;
    for (const resolve of waiting.splice(0)) resolve();
    if (ended) socket.shutdown();
  };
  const finish = (): void => {
    onClosed();
    for (const resolve of waiting.splice(0)) resolve();
  };
  const options = {
    fd: linux.connectSeqpacket(path),
    socket: {
      data(_socket: Bun.Socket, packet: Uint8Array): void {
        if (packet.length > 1) onOutput(packet[0] === STDERR ? 2 : 1, packet.subarray(1));
      },
      drain: flush,
      close: finish,
      end: finish,
      error: finish,
    },
  };
  const socket = await Bun.connect(options as unknown as Bun.UnixSocketOptions<undefined>);
  return {
    write(bytes) {
      for (let at = 0; at < bytes.length; at += PACKET) queue.push(bytes.slice(at, at + PACKET));
      flush(socket);
    },
    endInput() {
      ended = true;
      flush(socket);
    },
    close: () => void socket.terminate(),
    closed,
    drained: () => (queue.length === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
  };
}
