import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { userId } from "../../linux/userNamespace.ts";
import { findProgram } from "../findProgram.ts";
import { readOr } from "../readOr.ts";

/**
 * A plain user makes control groups only where systemd has handed some over: in a scope of the user's own manager. It is one for all that is
 * slipway's, kept by a process that sleeps, so that what is read of a container that has ended is still there.
 *
 *     user@UID.service/app.slice/slipway.scope ─┬─ holder
 *                                               ├─ commands        slipways that limit something, and the monitors that they start
 *                                               └─ slipway/<id>    containers
 */
const UNIT = "slipway.scope";
const PATIENCE_MS = 5000; // systemd answers in milliseconds, on a machine at work in hundreds

export interface ScopeContext {
  /** Where the cgroup2 tree is. */
  mount: string;
  user?: number;
  /** Calls a method of the user's systemd; what went wrong, undefined where nothing did. */
  call?: (method: string, ...words: string[]) => string | undefined;
  /** The text of /proc/self/cgroup. */
  ownGroups?: () => string;
  /** Starts the process that sleeps, in our group; its pid. */
  startHolder?: () => number;
}

/** Where the user's scope is, made or not. */
export function userScope(mount: string, user = userId()): string {
  return `${mount}/user.slice/user-${user}.slice/user@${user}.service/app.slice/${UNIT}`;
}

/**
 * Brings this process, and so all that it starts, into the user's scope: from then on it may put its processes into any group there. Nothing happens
 * where it is in.
 * @throws SlipwayError `LIMIT_UNAVAILABLE` where the user has no systemd that could hand one over
 */
export function enterUserScope(context: ScopeContext): void {
  const { user = userId(), call = callSystemd, startHolder = sleepingProcess } = context;
  const ownGroups = context.ownGroups ?? (() => readFileSync("/proc/self/cgroup", "utf8"));
  const directory = userScope(context.mount, user);
  const isInside = (): boolean => new RegExp(`/${UNIT.replace(".", "\\.")}(/|$)`, "m").test(ownGroups());
  if (isInside()) return;
  const pid = String(process.pid);
  const complaints: string[] = [];
  // A second try is for one that another process has just made, or that ended as we looked.
  for (let tries = 0; tries < 3 && !isInside(); tries++) {
    if (existsSync(`${directory}/commands`)) {
      complaints.push(call("AttachProcessesToUnit", "ssau", UNIT, "/commands", "1", pid) ?? "");
      continue;
    }
    const properties = ["4", "Description", "s", "Containers of slipway", "Slice", "s", "app.slice"];
    properties.push("Delegate", "b", "true", "PIDs", "au", "1", pid, "0");
    const complaint = call("StartTransientUnit", "ssa(sv)a(sa(sv))", UNIT, "fail", ...properties);
    complaints.push(complaint ?? "");
    for (let waited = 0; waited < PATIENCE_MS && complaint === undefined && !isInside(); waited += 5) Bun.sleepSync(5);
    if (isInside()) furnish(directory, startHolder);
    else Bun.sleepSync(50);
  }
  if (isInside()) return;
  const said = complaints.findLast((each) => each !== "") ?? "systemd did not answer";
  throw new SlipwayError(
    "LIMIT_UNAVAILABLE",
    `this user may make no control groups, which limits and pauses are by: ${said}`,
    {
      hint: "They need root, or a login session with a systemd and a bus of one's own: apt-get install dbus-user-session, then log in anew.",
      exitCode: 125,
    },
  );
}

/** Only groups without processes of their own hand controllers on: ours goes into one below. */
function furnish(directory: string, startHolder: () => number): void {
  for (const name of ["holder", "commands"]) mkdirSync(`${directory}/${name}`, { recursive: true });
  writeFileSync(`${directory}/holder/cgroup.procs`, String(startHolder()));
  writeFileSync(`${directory}/commands/cgroup.procs`, String(process.pid));
}

function callSystemd(method: string, ...words: string[]): string | undefined {
  const busctl = findProgram("busctl");
  if (busctl === undefined) return "there is no systemd here";
  const manager = ["org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"];
  const child = Bun.spawnSync([busctl, "--user", "call", ...manager, method, ...words], {
    stdio: ["ignore", "ignore", "pipe"],
    timeout: PATIENCE_MS,
  });
  return child.exitCode === 0 ? undefined : child.stderr.toString().trim() || "systemd did not answer";
}

function sleepingProcess(): number {
  const holder = Bun.spawn([findProgram("tail") ?? "tail", "-f", "/dev/null"], {
    cwd: "/",
    env: {},
    stdio: ["ignore", "ignore", "ignore"],
    detached: true,
  });
  holder.unref();
  return holder.pid;
}

/** What of the cgroup2 tree a plain user works in: the scope where there is one. */
export function userTree(mount: string): { mount: string; controllers: string[] } | undefined {
  const directory = userScope(mount);
  if (!existsSync(directory)) return undefined;
  return { mount: directory, controllers: readOr(`${directory}/cgroup.controllers`).trim().split(" ") };
}
