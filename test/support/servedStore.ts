import { type Slipway, slipwayPath } from "./withSlipway.ts";

export interface ServedStore {
  url: string;
  host: string;
  child: Bun.Subprocess;
}

/** Runs `work` while `slipway registry serve` serves the test's store on a free loopback port. */
export async function withServedStore(
  slipway: Slipway,
  flags: string[],
  work: (served: ServedStore) => Promise<void>,
): Promise<void> {
  const child = Bun.spawn([slipwayPath, "registry", "serve", "-q", "--addr", "127.0.0.1:0", ...flags], {
    env: slipway.env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  try {
    const { value } = await child.stdout.getReader().read();
    const url = new TextDecoder().decode(value).trim();
    await work({ url, host: url.replace("http://", ""), child });
  } finally {
    child.kill("SIGTERM");
    await child.exited;
  }
}
