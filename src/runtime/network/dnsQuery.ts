import type { Linux } from "../../linux/Linux.ts";
import { isErrno } from "../../linux/LinuxError.ts";
import { addressBytes, parseAddress } from "./addresses.ts";
import { openBridgeNamespace } from "./bridgeNamespace.ts";
import { socketIn } from "./namespaces.ts";

const PATIENCE_MS = 500;
const PAUSE_MS = 4;
const [AF_INET, SOCK_DGRAM, SOCK_NONBLOCK] = [2, 2, 0o4000];
const DNS_PORT = 53;

/**
 * Resolves when the server answers `name` with `address`, or after half a second: it reads its files again some milliseconds after it is told to, and
 * asks nobody to wait. A container that starts earlier would ask in vain.
 */
export async function untilResolved(linux: Linux, server: string, name: string, address: string): Promise<void> {
  const [wanted, asked] = [parseAddress(address), parseAddress(server)];
  if (wanted === undefined || asked === undefined) return;
  const bytes = Buffer.from(addressBytes(wanted.address, wanted.family));
  const namespace = openBridgeNamespace(linux);
  const domain = { domain: AF_INET, type: SOCK_DGRAM | SOCK_NONBLOCK, protocol: 0 };
  const socket = socketIn(linux, namespace, domain);
  if (namespace !== undefined) linux.close(namespace);
  try {
    linux.connectDatagrams(socket, addressBytes(asked.address, asked.family), DNS_PORT);
    const answer = Buffer.alloc(1500);
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await Bun.sleep(PAUSE_MS)) {
      ask(linux, socket, name);
      for (let length = 1; length > 0; ) {
        length = receive(linux, socket, answer);
        if (answer.subarray(0, length).includes(bytes)) return;
      }
    }
  } finally {
    linux.close(socket);
  }
}

function ask(linux: Linux, socket: number, name: string): void {
  try {
    linux.write(socket, query(name));
  } catch (error) {
    if (!isErrno(error, "ECONNREFUSED")) throw error; // nobody listens at this moment
  }
}

/** Length of what has come, or 0. */
function receive(linux: Linux, socket: number, into: Buffer): number {
  try {
    return linux.read(socket, into);
  } catch (error) {
    if (isErrno(error, "EAGAIN", "ECONNREFUSED")) return 0;
    throw error;
  }
}

/** For the IPv4 address of a name without dots that lead anywhere, RFC 1035. */
function query(name: string): Uint8Array {
  const labels = name.split(".").flatMap((label) => [Buffer.byteLength(label), ...Buffer.from(label)]);
  const [RECURSION_DESIRED, TYPE_A, CLASS_IN] = [1, 1, 1];
  return Uint8Array.of(0, 1, RECURSION_DESIRED, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, TYPE_A, 0, CLASS_IN);
}
