import { existsSync, readFileSync } from "node:fs";
import type { Caller } from "./withSlipway.ts";

/** One way in which slipway works on a host, see docs/isolation.md. */
export interface Rung {
  name: string;
  /** Undefined: the test's own root. A reason where this machine cannot have the rung. */
  caller(): Caller | undefined | { missing: string };
}

/** Ids that no user of a usual machine has. */
const WITH_IDS = { name: "slipway-test", id: 3_100_001, subordinates: 3_200_000 };
const WITHOUT_IDS = { name: "slipway-test-one", id: 3_100_002, subordinates: undefined };

/** From the strongest on. */
export const rungs = {
  root: { name: "root", caller: () => undefined },
  namespace: {
    name: "a user with subordinate ids",
    caller: () => withTools(["newuidmap", "unshare", "nsenter"], WITH_IDS),
  },
  /** Root of a container with Docker's capabilities: no namespace and no mount can be made. */
  chroot: { name: "a container's root without CAP_SYS_ADMIN", caller: () => withoutNamespaces() },
  singleId: { name: "a user with one id", caller: () => withTools(["unshare", "nsenter"], WITHOUT_IDS) },
} as const satisfies Record<string, Rung>;

/** Docker's for a container that asks for nothing. */
const CONTAINER_CAPABILITIES =
  "chown dac_override fsetid fowner mknod net_raw setgid setuid setfcap setpcap net_bind_service sys_chroot kill audit_write";

function withoutNamespaces(): Caller | { missing: string } {
  if (Bun.which("setpriv") === null) return { missing: "setpriv not installed" };
  const kept = CONTAINER_CAPABILITIES.split(" ").map((name) => `+${name}`);
  const prefix = ["setpriv", `--bounding-set=-all,${kept.join(",")}`, "--inh-caps=-all"];
  return { uid: 0, gid: 0, prefix, env: {} };
}

type User = typeof WITH_IDS | typeof WITHOUT_IDS;

function withTools(tools: string[], user: User): Caller | { missing: string } {
  const lacking = ["setpriv", "useradd", ...tools].filter((tool) => Bun.which(tool) === null);
  return lacking.length > 0 ? { missing: `${lacking.join(", ")} not installed` } : callerOf(user);
}

/** Makes the user where it is not there. It stays: it can do nothing, and other tests may be using it. */
function callerOf({ name, id, subordinates }: User): Caller {
  const line = new RegExp(`^${name}:[^:]*:${id}:([0-9]+)`, "m");
  if (!line.test(read("/etc/passwd"))) {
    // Some useradd gives subordinate ids by itself: none, so that the ones below are all.
    command(
      "useradd",
      "-K",
      "SUB_UID_COUNT=0",
      "-K",
      "SUB_GID_COUNT=0",
      "--uid",
      String(id),
      "--user-group",
      "-M",
      name,
    );
  }
  for (const kind of ["subuids", "subgids"]) {
    const has = read(`/etc/${kind.slice(0, -1)}`)
      .split("\n")
      .some((each) => each.startsWith(`${name}:`));
    if (subordinates !== undefined && !has)
      command("usermod", `--add-${kind}`, `${subordinates}-${subordinates + 65535}`, name);
  }
  // newuidmap serves nobody whose group is not the one that /etc/passwd says.
  const gid = Number(line.exec(read("/etc/passwd"))?.[1]);
  return { uid: id, gid, prefix: ["setpriv", `--reuid=${id}`, `--regid=${gid}`, "--init-groups"], env: {} };
}

function read(file: string): string {
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

function command(...words: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(words);
  // Another test has just done the same.
  if (exitCode !== 0 && !/already exists/.test(stderr.toString())) throw new Error(`${words.join(" ")}: ${stderr}`);
}
