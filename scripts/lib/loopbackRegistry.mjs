import { spawn } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";

/**
 * Starts Debian's docker-registry on a free loopback port, its data in `folder`. Resolves when it answers.
 * `stop` ends it and waits for its end.
 * @returns {Promise<{ url: string, host: string, stop(): Promise<void> }>}
 */
export async function startRegistry(folder) {
  const host = `127.0.0.1:${await freePort()}`;
  mkdirSync(folder, { recursive: true });
  // Of its own name: several registries may serve one folder.
  const config = join(folder, `config-${host.slice(host.indexOf(":") + 1)}.json`);
  writeFileSync(
    config,
    // YAML, of which JSON is a part.
    JSON.stringify({
      version: 0.1,
      log: { level: "error", accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(folder, "data") }, delete: { enabled: true } },
      http: { addr: host },
    }),
  );
  const child = spawn("docker-registry", ["serve", config], { stdio: ["ignore", "ignore", "pipe"] });
  let complaint = "";
  child.stderr.on("data", (bytes) => {
    complaint = (complaint + bytes).slice(-2000);
  });
  let ended = false;
  const end = new Promise((resolve) => {
    for (const event of ["exit", "error"])
      child.once(event, () => {
        ended = true;
        resolve(undefined);
      });
  });
  const stop = async () => {
    if (!ended) child.kill("SIGTERM");
    await end;
    rmSync(config, { force: true });
  };

  const deadline = Date.now() + 10_000;
  while (!(await answers(`http://${host}/v2/`))) {
    if (ended || Date.now() > deadline) {
      await stop();
      throw new Error(`docker-registry did not start: ${complaint}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  return { url: `http://${host}`, host, stop };
}

async function answers(url) {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(1000) })).ok;
  } catch {
    // Not listening yet.
    return false;
  }
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
