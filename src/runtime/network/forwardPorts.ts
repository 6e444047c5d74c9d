import dgram from "node:dgram";
import { read } from "node:fs";
import net from "node:net";
import { AT_FDCWD, CLONE_NEWNET, O_RDONLY } from "../../linux/constants.ts";
import type { Linux } from "../../linux/Linux.ts";

/** A port of the host that leads to one of a container. */
export interface ForwardedPort {
  protocol: "tcp" | "udp";
  /** A socket that has the port, listening where it is tcp. */
  fd: number;
  /** Of the socket. */
  family: 4 | 6;
  address: string;
  port: number;
}

/** As long as Docker's proxy keeps where the answers of a server go that has said nothing. */
const UDP_IDLE_MS = 90_000;

/**
 * Leads what comes to sockets of the host's network namespace into the one at `path`, until the pipe `end` has no writer any more: then this
 * process ends. The calling thread is in that namespace from now on; a socket stays in the one that it was made in.
 */
export function forwardPorts(linux: Linux, options: { ports: ForwardedPort[]; path: string; end: number }): void {
  const namespace = linux.openat(AT_FDCWD, options.path, O_RDONLY);
  linux.setns(namespace, CLONE_NEWNET);
  linux.close(namespace);
  for (const port of options.ports) {
    if (port.protocol === "tcp") forwardConnections(port);
    else forwardDatagrams(port);
  }
  process.on("SIGTERM", () => process.exit(0));
  // Nobody writes: it comes back with the last writer's end.
  read(options.end, Buffer.alloc(1), 0, 1, null, () => process.exit(0));
}

function forwardConnections({ fd, address, port }: ForwardedPort): void {
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (caller) => {
    const callee = net.connect({ host: address, port, allowHalfOpen: true, noDelay: true });
    const end = (): void => {
      caller.destroy();
      callee.destroy();
    };
    // Each side hears of the other's end of sending, and may go on sending itself.
    caller.on("error", end).pipe(callee);
    callee.on("error", end).pipe(caller);
    caller.on("close", () => callee.destroySoon());
    callee.on("close", () => caller.destroySoon());
  });
  server.on("error", () => process.exit(1));
  server.listen({ fd });
}

function forwardDatagrams({ fd, family, address, port }: ForwardedPort): void {
  const server = dgram.createSocket(`udp${family}`);
  const callers = new Map<string, { socket: dgram.Socket; last: number }>();
  server.on("message", (message, { address: from, port: fromPort }) => {
    const name = `${from} ${fromPort}`;
    let caller = callers.get(name);
    if (caller === undefined) {
      const socket = dgram.createSocket("udp4");
      caller = { socket, last: 0 };
      callers.set(name, caller);
      socket.on("message", (answer) => {
        const known = callers.get(name);
        if (known !== undefined) known.last = Date.now();
        server.send(answer, fromPort, from);
      });
      socket.on("error", () => forget(name)); // nobody listens there
    }
    caller.last = Date.now();
    caller.socket.send(message, port, address);
  });
  server.on("error", () => undefined); // an answer that could not be sent: datagrams get lost
  server.bind({ fd });
  const forget = (name: string): void => {
    callers.get(name)?.socket.close();
    callers.delete(name);
  };
  setInterval(() => {
    for (const [name, { last }] of callers) if (last < Date.now() - UDP_IDLE_MS) forget(name);
  }, UDP_IDLE_MS / 3);
}
