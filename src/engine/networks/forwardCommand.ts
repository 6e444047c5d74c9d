import type { Linux } from "../../linux/Linux.ts";
import { bridgeNamespacePath } from "../../runtime/network/bridgeNamespace.ts";
import type { ForwardedPort } from "../../runtime/network/forwardPorts.ts";
import { selfCommand } from "../../runtime/selfCommand.ts";

/** First descriptor of what a child gets beyond its three streams. */
const FIRST_FD = 3;

/**
 * Starts what leads a plain user's published ports to the container: `slipway network forward`, which has their sockets. Gives the end of a pipe; when the last
 * process that has it open ends, so does the other. The container's monitor inherits it.
 */
export function startForwarding(linux: Linux, ports: readonly ForwardedPort[]): number {
  const [end, alive] = linux.pipe();
  try {
    const given = ports.map((port, at) => ({ ...port, fd: FIRST_FD + at }));
    const options = { ports: given, path: bridgeNamespacePath(), end: FIRST_FD + ports.length };
    const child = Bun.spawn(selfCommand(["network", "forward", JSON.stringify(options)]), {
      cwd: "/",
      env: process.env,
      stdio: ["ignore", "ignore", "ignore", ...ports.map(({ fd }) => fd), end],
      detached: true,
    });
    child.unref();
    return alive;
  } catch (error) {
    linux.close(alive);
    throw error;
  } finally {
    linux.close(end);
  }
}
