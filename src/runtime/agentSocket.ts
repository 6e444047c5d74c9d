import { createConnection, createServer, type Socket } from "node:net";
import { basename, dirname } from "node:path";
import { AT_FDCWD, O_DIRECTORY, O_PATH } from "../linux/constants.ts";
import type { Linux } from "../linux/Linux.ts";

/** draft-ietf-sshm-ssh-agent, section 6.1. */
const REQUEST_IDENTITIES = 11;
const SIGN_REQUEST = 13;
const FAILURE = Buffer.from([0, 0, 0, 1, 5]);
/** OpenSSH's bound of one message. */
const MAX_MESSAGE = 256 * 1024;

/**
 * Serves the ssh agent at `upstream` on a new socket `path` of this owner and mode, for one step: whoever may open it can list the keys and
 * sign with them, and can neither add, remove nor lock them (BuildKit). Resolves when the socket takes connections.
 */
export async function serveAgent(
  linux: Linux,
  options: { upstream: string; path: string; mode: number; uid: number; gid: number },
): Promise<{ close(): void }> {
  const open = new Set<Socket>();
  const server = createServer((client) => {
    open.add(client);
    void withShortPath(linux, options.upstream, (path) => relay(client, path)).finally(() => open.delete(client));
  });
  await withShortPath(linux, options.path, async (path) => {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(path, resolve);
    });
    linux.fchownat(AT_FDCWD, path, options.uid, options.gid);
    linux.fchmodat(AT_FDCWD, path, options.mode);
  });
  return {
    close() {
      server.close();
      for (const client of open) client.destroy();
    },
  };
}

/** One request after another, as the protocol has it. A peer that breaks it, or an agent that is gone, ends the connection. */
async function relay(client: Socket, path: string): Promise<void> {
  const agent = createConnection(path);
  const ignore = (): void => {}; // seen by the loop below as the stream's end
  client.on("error", ignore);
  agent.on("error", ignore);
  const replies = messages(agent);
  try {
    for await (const message of messages(client)) {
      if (message[4] !== REQUEST_IDENTITIES && message[4] !== SIGN_REQUEST) {
        client.write(FAILURE);
        continue;
      }
      agent.write(message);
      const reply = await replies.next();
      if (reply.done === true) return;
      client.write(reply.value);
    }
  } catch {
    // either side hung up in the middle
  } finally {
    agent.destroy();
    client.end();
  }
}

/** Whole messages, with the four bytes of their length. */
async function* messages(socket: Socket): AsyncGenerator<Buffer> {
  let kept: Buffer = Buffer.alloc(0);
  for await (const chunk of socket) {
    kept = Buffer.concat([kept, chunk as Buffer]);
    while (kept.length >= 4) {
      const length = 4 + kept.readUInt32BE(0);
      if (length === 4 || length > MAX_MESSAGE) return;
      if (kept.length < length) break;
      yield kept.subarray(0, length);
      kept = kept.subarray(length);
    }
  }
}

/** A socket's address has room for 107 bytes; a descriptor of its directory makes any path short enough. */
async function withShortPath<T>(linux: Linux, path: string, work: (path: string) => Promise<T>): Promise<T> {
  const fd = linux.openat(AT_FDCWD, dirname(path), O_PATH | O_DIRECTORY);
  try {
    return await work(`/proc/self/fd/${fd}/${basename(path)}`);
  } finally {
    linux.close(fd);
  }
}
