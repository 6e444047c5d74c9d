import { readFileSync } from "node:fs";
import type { Linux } from "../../linux/Linux.ts";
import { followWindowSize } from "../../runtime/followWindowSize.ts";
import { readSome } from "../../runtime/readSome.ts";
import { createDetachWatcher } from "./detachKeys.ts";
import { enterRawMode } from "./rawMode.ts";

export interface ExecTerminalOptions {
  /** The user's; undefined: what the process shows goes to nobody's. */
  terminal: number | undefined;
  /** What is typed goes to the process. */
  interactive: boolean;
  /** These, typed one after the other, leave it alone. */
  detachKeys: readonly number[];
  /** Where the runtime writes the pid of the process. */
  pidFile: string;
  stdout(bytes: Uint8Array): void;
  /** Hears of the runtime as soon as it runs. */
  onStart(child: Bun.Subprocess): void;
}

/**
 * Runs the runtime on a terminal of our own between the user's and the process's; resolves with the exit code, or "detached": then the process
 * goes on, and what it prints is read and thrown away for as long as it lives.
 */
export async function execOnTerminal(
  linux: Linux,
  command: string[],
  options: ExecTerminalOptions,
): Promise<number | "detached"> {
  const { terminal, pidFile } = options;
  const { own, theirs } = linux.openTerminal();
  const undo: (() => void)[] = [() => linux.close(own)];
  try {
    if (terminal !== undefined) linux.setWindowSize(theirs, linux.getWindowSize(terminal));
    // In a session of its own: it stays when the user's terminal goes.
    const child = Bun.spawn(command, { stdio: [theirs, theirs, theirs], detached: true });
    linux.close(theirs);
    options.onStart(child);
    if (terminal !== undefined) undo.push(followWindowSize(linux, { terminal, pid: () => pidIn(pidFile) }));
    const shown = show(own, options.stdout);
    if (terminal === undefined || !options.interactive) {
      await shown;
      return await child.exited;
    }
    undo.push(enterRawMode(terminal));
    const typed = forwardTyped(linux, { own, terminal, detachKeys: options.detachKeys });
    undo.push(typed.stop);
    if ((await Promise.race([child.exited, typed.detached])) === "detached") {
      child.unref();
      shown.catch(() => undefined); // what it reads from is closed beneath it
      // The terminal's end would be the end of who is on it.
      Bun.spawn(["cat"], { stdio: [own, "ignore", "ignore"], detached: true }).unref();
      return "detached";
    }
    await shown;
    return await child.exited;
  } finally {
    for (const step of undo.toReversed()) step();
  }
}

/** Resolves when nobody is on the other end any more. By read(2) alone: the terminal stays as it is for whoever reads on. */
async function show(own: number, stdout: (bytes: Uint8Array) => void): Promise<void> {
  const chunk = new Uint8Array(65_536);
  for (;;) {
    try {
      const bytesRead = await readSome(own, chunk);
      if (bytesRead === 0) return;
      stdout(chunk.subarray(0, bytesRead));
    } catch (error) {
      if ((error as { code?: string }).code === "EIO") return; // the kernel's word for it
      throw error;
    }
  }
}

function forwardTyped(
  linux: Linux,
  { own, terminal, detachKeys }: { own: number; terminal: number; detachKeys: readonly number[] },
): { detached: Promise<"detached">; stop(): void } {
  const { promise, resolve } = Promise.withResolvers<"detached">();
  const watch = createDetachWatcher((bytes) => linux.write(own, bytes), detachKeys);
  const reader = Bun.file(terminal).stream().getReader();
  const pump = async (): Promise<void> => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      if (watch(value)) return resolve("detached");
    }
  };
  pump().catch(() => undefined); // a terminal that is gone: the process hears of that by its signals
  return { detached: promise, stop: () => void reader.cancel().catch(() => undefined) };
}

function pidIn(file: string): number | undefined {
  try {
    return Number(readFileSync(file, "utf8")) || undefined;
  } catch {
    return undefined; // not that far
  }
}
