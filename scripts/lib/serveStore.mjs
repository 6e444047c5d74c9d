import { spawn } from "node:child_process";
import { slipwayPath } from "./paths.mjs";

/**
 * Starts `slipway registry serve --writable` over the store `folder` on a free loopback port. Resolves when it answers; `stop` ends it and
 * waits for its end.
 * @param {string} folder
 * @returns {Promise<{ url: string, stop(): Promise<void> }>}
 */
export async function serveStore(folder) {
  const child = spawn(slipwayPath, ["registry", "serve", "--quiet", "--writable", "--addr", "127.0.0.1:0"], {
    env: { ...process.env, SLIPWAY_ROOT: folder },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const end = new Promise((resolve) => {
    for (const event of ["exit", "error"]) child.once(event, resolve);
  });
  let complaint = "";
  child.stderr.on("data", (bytes) => {
    complaint = (complaint + bytes).slice(-2000);
  });
  const url = await Promise.race([
    new Promise((resolve) => child.stdout.once("data", (bytes) => resolve(String(bytes).trim()))),
    end.then(() => {
      throw new Error(`slipway registry serve did not start: ${complaint}`);
    }),
  ]);
  const stop = async () => {
    child.kill("SIGTERM");
    await end;
  };
  return { url, stop };
}
