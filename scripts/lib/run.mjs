import { spawn } from "node:child_process";

/**
 * Runs a program with our own standard streams and resolves to its exit code (128 + n when a signal ended it).
 * `quiet` shows nothing unless it fails.
 */
export function run(command, args, { quiet = false, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: quiet ? ["ignore", "pipe", "pipe"] : "inherit", ...options });
    const output = [];
    child.stdout?.on("data", (bytes) => output.push(bytes));
    child.stderr?.on("data", (bytes) => output.push(bytes));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      const exit = code ?? 128 + (signals[signal] ?? 0);
      if (quiet && exit !== 0) process.stderr.write(Buffer.concat(output));
      resolve(exit);
    });
  });
}

const signals = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGABRT: 6, SIGKILL: 9, SIGSEGV: 11, SIGTERM: 15 };
