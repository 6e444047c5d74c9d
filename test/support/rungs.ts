import { readFileSync } from "node:fs";
import type { Caller } from "./withSlipway.ts";

/** One way in which slipway works on a host, see docs/isolation.md. */
export interface Rung {
  name: string;
  /** Undefined: the test's own root. A reason where this machine cannot have the rung. */
  caller(): Caller | undefined | { missing: string };
}

/** The first ids of a range that no user of a usual machine has. */
const USER = { name: "slipway-test", id: 3_100_001, subordinates: 3_200_000 };

/** From the strongest on. */
export const rungs: readonly Rung[] = [
  { name: "root", caller: () => undefined },
  { name: "a user with subordinate ids", caller: () => withTools(["newuidmap", "unshare", "nsenter"], userCaller) },
];

function withTools(tools: string[], make: () => Caller): Caller | { missing: string } {
  const lacking = ["setpriv", "useradd", ...tools].filter((tool) => Bun.which(tool) === null);
  return lacking.length > 0 ? { missing: `${lacking.join(", ")} not installed` } : make();
}

/** Makes the user where it is not there. It stays: it can do nothing, and other tests may be using it. */
function userCaller(): Caller {
  if (!new RegExp(`^${USER.name}:`, "m").test(passwd()))
    command("useradd", "--uid", String(USER.id), "--user-group", "--no-create-home", "--home-dir", "/", USER.name);
  for (const [file, flag] of [
    ["/etc/subuid", "--add-subuids"],
    ["/etc/subgid", "--add-subgids"],
  ] as const) {
    if (!new RegExp(`^${USER.name}:`, "m").test(readFileSync(file, "utf8")))
      command("usermod", flag, `${USER.subordinates}-${USER.subordinates + 65535}`, USER.name);
  }
  // newuidmap serves nobody whose group is not the one that /etc/passwd says.
  const gid = Number(new RegExp(`^${USER.name}:[^:]*:${USER.id}:([0-9]+)`, "m").exec(passwd())?.[1]);
  const prefix = ["setpriv", `--reuid=${USER.id}`, `--regid=${gid}`, "--init-groups"];
  return { uid: USER.id, gid, prefix, env: {} };
}

function passwd(): string {
  return readFileSync("/etc/passwd", "utf8");
}

function command(...words: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(words);
  // Another test has just done the same.
  if (exitCode !== 0 && !/already exists/.test(stderr.toString())) throw new Error(`${words.join(" ")}: ${stderr}`);
}
