import { mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { findProgram } from "./findProgram.ts";

/** One `--ssh ID[=SOURCE[,SOURCE…]]`: no source is this process's own agent. */
export interface SshSource {
  id: string;
  /** One socket, or files of private keys. */
  paths: string[];
}

/** The ssh agents that a build was given. */
export interface SshAgents {
  /** Path of the agent's socket; undefined where none has this id. For keys, an agent is started by the first call. @throws SlipwayError `SSH_KEY` */
  socket(id: string): Promise<string> | undefined;
  /** Ends the agents that were started. */
  close(): void;
}

/**
 * Looks at every source before anything runs. `directory` makes a directory of the build's own for an agent that is started.
 * @throws SlipwayError `SSH_MISSING`
 */
export function createSshAgents(sources: readonly SshSource[], directory: () => string): SshAgents {
  const started: KeyAgent[] = [];
  const agents = new Map<string, () => Promise<string>>();
  for (const { id, paths } of sources) {
    const [first = process.env.SSH_AUTH_SOCK ?? "", ...more] = paths;
    if (first === "") {
      throw new SlipwayError("SSH_MISSING", `ssh ${id}: there is no agent, SSH_AUTH_SOCK is not set`, {
        hint: `Start one (eval $(ssh-agent); ssh-add), or give a key: --ssh ${id}=FILE`,
      });
    }
    if (isSocket(id, first)) {
      if (more.length > 0) throw new SlipwayError("SSH_MISSING", `ssh ${id}: it takes one socket, or files of keys`);
      agents.set(id, () => Promise.resolve(first));
      continue;
    }
    for (const path of more) {
      if (isSocket(id, path)) throw new SlipwayError("SSH_MISSING", `ssh ${id}: it takes one socket, or files of keys`);
    }
    let running: Promise<string> | undefined;
    agents.set(id, () => {
      running ??= startKeyAgent(id, [first, ...more], directory()).then((agent) => {
        started.push(agent);
        return agent.socket;
      });
      return running;
    });
  }
  return {
    socket: (id) => agents.get(id)?.(),
    close() {
      for (const agent of started) agent.close();
    },
  };
}

interface KeyAgent {
  socket: string;
  close(): void;
}

/**
 * The system's ssh-agent with these keys. Its life hangs on a pipe of ours: after whatever end of this process it ends, too.
 */
async function startKeyAgent(id: string, keys: string[], directory: string): Promise<KeyAgent> {
  const program = findProgram("ssh-agent");
  const adder = findProgram("ssh-add");
  if (program === undefined || adder === undefined) {
    throw new SlipwayError("SSH_KEY", `ssh ${id}: keys are served by ssh-agent, which is not installed`, {
      hint: "Install openssh-client, or give the socket of an agent.",
    });
  }
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  // A relative name: the path of a lease can be too long for a socket.
  const name = "agent.sock";
  const child = Bun.spawn([program, "-a", name, "/bin/sh", "-c", "echo $SSH_AGENT_PID; cat; kill $SSH_AGENT_PID"], {
    cwd: directory,
    stdin: "pipe",
    stdout: "pipe",
    stderr: "ignore",
  });
  const { value } = await child.stdout.getReader().read();
  const started = Number(new TextDecoder().decode(value)) > 0;
  const agent: KeyAgent = { socket: join(directory, name), close: () => void child.stdin.end() };
  try {
    if (!started) throw new SlipwayError("SSH_KEY", `ssh ${id}: ssh-agent does not start`);
    for (const key of keys) await addKey(adder, id, key, directory);
  } catch (error) {
    agent.close();
    throw error;
  }
  return agent;
}

/** By standard input: ssh-add refuses files that others may read. */
async function addKey(program: string, id: string, key: string, directory: string): Promise<void> {
  const child = Bun.spawn([program, "-q", "-"], {
    cwd: directory,
    // No question for a passphrase: a build has nobody to ask.
    env: {
      SSH_AUTH_SOCK: "agent.sock",
      SSH_ASKPASS: "/bin/false",
      SSH_ASKPASS_REQUIRE: "force",
      PATH: process.env.PATH ?? "",
    },
    stdin: readFileSync(key),
    stdout: "ignore",
    stderr: "pipe",
  });
  const complaint = (await new Response(child.stderr).text()).trim().split("\n")[0];
  if ((await child.exited) === 0) return;
  throw new SlipwayError("SSH_KEY", `ssh ${id}: ${key} is not taken as a private key: ${complaint}`, {
    hint: "A key with a passphrase: ssh-add it to an agent of your own, and give that.",
  });
}

function isSocket(id: string, path: string): boolean {
  try {
    return statSync(path).isSocket();
  } catch (error) {
    throw new SlipwayError("SSH_MISSING", `ssh ${id}: cannot find ${path}`, { cause: error });
  }
}
