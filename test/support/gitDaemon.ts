import { join } from "node:path";

/** Serves the repositories below `directory` by git's own protocol while `work` runs; `url` has no slash at its end. */
export async function withGitDaemon(directory: string, work: (url: string) => Promise<void>): Promise<void> {
  const port = freePort();
  const program = join(Bun.spawnSync(["git", "--exec-path"]).stdout.toString().trim(), "git-daemon");
  const daemon = Bun.spawn(
    [
      program,
      "--export-all",
      "--reuseaddr",
      `--base-path=${directory}`,
      "--listen=127.0.0.1",
      `--port=${port}`,
      directory,
    ],
    { stdin: "ignore", stdout: "ignore", stderr: "ignore" },
  );
  try {
    await untilListening(port);
    await work(`git://127.0.0.1:${port}`);
  } finally {
    daemon.kill();
    await daemon.exited;
  }
}

function freePort(): number {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = probe;
  probe.stop(true);
  return port;
}

async function untilListening(port: number): Promise<void> {
  for (let i = 0; ; i++) {
    try {
      (await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } })).end();
      return;
    } catch (error) {
      if (i === 200) throw error;
      await Bun.sleep(25);
    }
  }
}
