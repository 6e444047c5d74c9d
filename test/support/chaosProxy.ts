import { createServer, connect, type Socket } from "node:net";

export interface ChaosProxy {
  host: string;
  /** How often each kind of harm was done. */
  done: Record<string, number>;
  /** Bytes that have gone to the upstream and come from it. */
  bytes: { up: number; down: number };
  stop(): void;
}

export const HARMS = ["drop", "stall", "truncate", "corrupt"] as const;

/**
 * A proxy on loopback in front of `upstream` (`host:port`) that harms answers at random, as `seed` says: it drops the connection by a reset, lets it
 * stand still for ever, closes it early, or changes one byte of the body. `rate`: the part of the answers that are harmed. Each answer gets a connection
 * of its own, and what goes up is harmed in the same ways.
 */
export async function startChaosProxy(
  upstream: string,
  { seed, rate, kinds = HARMS }: { seed: number; rate: number; kinds?: readonly (typeof HARMS)[number][] },
): Promise<ChaosProxy> {
  const random = createRandom(seed);
  const done: Record<string, number> = Object.fromEntries(kinds.map((kind) => [kind, 0]));
  const bytes = { up: 0, down: 0 };
  const sockets = new Set<Socket>();
  const [address = "", port] = upstream.split(":");

  function pass(from: Socket, to: Socket, isAnswer: boolean): void {
    const harm = random() < (isAnswer ? rate : rate / 2) ? kinds[Math.floor(random() * kinds.length)] : undefined;
    // Early ones most often: most of what goes by is short.
    const at = Math.floor(random() ** 4 * 40_000);
    let seen = 0;
    let header = Buffer.alloc(0);
    let body = -1;
    let over = false;
    from.on("data", (arrived: Buffer) => {
      if (over) return;
      if (isAnswer) bytes.down += arrived.length;
      else bytes.up += arrived.length;
      // So that each answer is harmed or not by itself.
      const piece = isAnswer || body >= 0 ? arrived : Buffer.from(closing(arrived.toString("latin1")), "latin1");
      if (body < 0) {
        header = Buffer.concat([header, piece]);
        const end = header.indexOf("\r\n\r\n");
        if (end >= 0) body = end + 4;
      }
      const before = seen;
      seen += piece.length;
      const place = harm === "corrupt" ? Math.max(body, 0) + at : at;
      if (harm === undefined || (harm === "corrupt" && body < 0) || place >= seen || place < before) {
        to.write(piece);
        return;
      }
      done[harm] = (done[harm] ?? 0) + 1;
      over = harm !== "corrupt";
      if (harm === "corrupt") {
        const changed = Buffer.from(piece);
        const index = place - before;
        changed[index] = (changed[index] as number) ^ 0x20;
        to.write(changed);
        return;
      }
      to.write(piece.subarray(0, place - before));
      if (harm === "drop") {
        to.resetAndDestroy();
        from.destroy();
      } else if (harm === "truncate") {
        to.end();
        from.destroy();
      }
    });
    from.on("close", () => {
      if (!over) to.end();
    });
  }

  const server = createServer((client) => {
    const peer = connect(Number(port), address);
    for (const socket of [client, peer]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => sockets.delete(socket));
    }
    pass(client, peer, false);
    pass(peer, client, true);
    client.on("close", () => peer.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    host: `127.0.0.1:${(server.address() as { port: number }).port}`,
    done,
    bytes,
    stop() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Asks for a connection that ends with the answer; no byte more or less. */
function closing(request: string): string {
  return request.replace(/(connection: )keep-alive/i, "$1close     ");
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
