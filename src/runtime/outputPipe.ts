import { AT_FDCWD, O_NONBLOCK, O_RDONLY } from "../linux/constants.ts";
import type { Linux } from "../linux/Linux.ts";

/** Where a process writes, and what hears it. */
export interface Output {
  /** For the process; {@link Output.given} when it has it. */
  readonly write: number;
  /** Closes our own copy of `write`: what is heard ends with the last process that has one. Idempotent. */
  given(): void;
  /** Resolves when all is heard. */
  readonly heard: Promise<void>;
}

/**
 * A pipe. Bun's own are sockets, which nobody can open by name: a program that writes to /dev/stderr would fail.
 */
export function outputPipe(linux: Linux, to: (bytes: Uint8Array) => void): Output {
  const [read, write] = linux.pipe();
  const listening = linux.openat(AT_FDCWD, `/proc/self/fd/${read}`, O_RDONLY | O_NONBLOCK);
  linux.close(read);
  return output(linux, { read: listening, write }, to);
}

/** `read` does not block. Both are closed in the end. */
export function output(
  linux: Linux,
  { read, write }: { read: number; write: number },
  to: (bytes: Uint8Array) => void,
): Output {
  let open = true;
  const hear = async (): Promise<void> => {
    try {
      for await (const chunk of Bun.file(read).stream()) to(chunk);
    } finally {
      linux.close(read);
    }
  };
  return {
    write,
    given() {
      if (open) linux.close(write);
      open = false;
    },
    heard: hear(),
  };
}

/** Starts the process that these are for: from then on, or from its failure on, nobody else has them. */
export function spawnWith<P>(outputs: readonly Pick<Output, "given">[], spawn: () => P): P {
  try {
    return spawn();
  } finally {
    for (const each of outputs) each.given();
  }
}
