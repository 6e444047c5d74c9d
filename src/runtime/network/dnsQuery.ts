import { addressBytes, parseAddress } from "./addresses.ts";

const PATIENCE_MS = 500;
const PAUSE_MS = 4;

/**
 * Resolves when the server answers `name` with `address`, or after half a second: it reads its files again some milliseconds after it is told to, and
 * asks nobody to wait. A container that starts earlier would ask in vain.
 */
export async function untilResolved(server: string, name: string, address: string): Promise<void> {
  const wanted = parseAddress(address);
  if (wanted === undefined) return;
  const bytes = Buffer.from(addressBytes(wanted.address, wanted.family));
  const { promise, resolve } = Promise.withResolvers<void>();
  const socket = await Bun.udpSocket({
    connect: { hostname: server, port: 53 },
    socket: {
      data(_, answer) {
        if (Buffer.from(answer).includes(bytes)) resolve();
      },
      error() {
        // nobody listens at this moment
      },
    },
  });
  const ask = (): void => {
    try {
      socket.send(query(name));
    } catch {
      // the same
    }
  };
  const asking = setInterval(ask, PAUSE_MS);
  const patience = setTimeout(resolve, PATIENCE_MS);
  try {
    ask();
    await promise;
  } finally {
    clearInterval(asking);
    clearTimeout(patience);
    socket.close();
  }
}

/** For the IPv4 address of a name without dots that lead anywhere, RFC 1035. */
function query(name: string): Uint8Array {
  const labels = name.split(".").flatMap((label) => [Buffer.byteLength(label), ...Buffer.from(label)]);
  const [RECURSION_DESIRED, TYPE_A, CLASS_IN] = [1, 1, 1];
  return Uint8Array.of(0, 1, RECURSION_DESIRED, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, TYPE_A, 0, CLASS_IN);
}
