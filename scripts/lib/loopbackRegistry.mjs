import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";

/**
 * Starts Debian's docker-registry on a free loopback port, its data in `folder`. Resolves when it answers.
 * `stop` ends it and waits for its end.
 * @param {string} folder
 * @param {import("./loopbackRegistry.mjs").RegistrySettings} [settings]
 * @returns {Promise<{ url: string, host: string, stop(): Promise<void> }>}
 */
export async function startRegistry(folder, { tls, auth } = {}) {
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
      http: {
        addr: host,
        ...(tls && {
          tls: {
            certificate: tls.certificate,
            key: tls.key,
            ...(tls.clientca && { clientcas: [tls.clientca] }),
          },
        }),
      },
      ...(auth && { auth }),
    }),
  );
  // To a file: a pipe that a busy caller does not read would stop the registry.
  const log = `${config}.log`;
  const logFd = openSync(log, "w");
  const child = spawn("docker-registry", ["serve", config], { stdio: ["ignore", "ignore", logFd] });
  closeSync(logFd);
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
    for (const file of [config, log]) rmSync(file, { force: true });
  };

  const deadline = Date.now() + 10_000;
  while (!(await listens(host))) {
    if (ended || Date.now() > deadline) {
      const complaint = readFileSync(log, "utf8").slice(-2000);
      await stop();
      throw new Error(`docker-registry did not start: ${complaint}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  return { url: `${tls ? "https" : "http"}://${host}`, host, stop };
}

function listens(host) {
  const [address, port] = host.split(":");
  return new Promise((resolve) => {
    const socket = connect(Number(port), address);
    for (const event of ["connect", "error"])
      socket.once(event, () => {
        socket.destroy();
        resolve(event === "connect");
      });
  });
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
