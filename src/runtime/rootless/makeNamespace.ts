import { readFileSync, readlinkSync, renameSync, writeFileSync } from "node:fs";
import { AT_FDCWD, LOCK_EX, O_CLOEXEC, O_CREAT, O_RDWR } from "../../linux/constants.ts";
import { createLinux } from "../../linux/createLinux.ts";
import { processStart } from "../../linux/processStart.ts";
import type { IdRange } from "../../linux/userNamespace.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { findProgram } from "../findProgram.ts";
import { readOr } from "../readOr.ts";
import { namespaceFile, type NamespaceRecord, readNamespace, secureRunDirectory } from "./namespaceRecord.ts";
import { subordinateIds, userName } from "./subordinateIds.ts";

const PATIENCE_MS = 5000; // the kernel makes a namespace in far less than a millisecond

/**
 * The user's namespace, made where there is none: of several processes that come at once, one makes it.
 * @throws SlipwayError `NAMESPACE_REFUSED`, `RUN_DIRECTORY_UNSAFE`
 */
export async function makeNamespace(): Promise<NamespaceRecord> {
  secureRunDirectory();
  const linux = createLinux();
  const lock = linux.openat(AT_FDCWD, `${namespaceFile()}.lock`, O_RDWR | O_CREAT | O_CLOEXEC, 0o600);
  try {
    linux.flock(lock, LOCK_EX);
    const known = readNamespace();
    if (known !== undefined) return known;
    const made = await holdNamespace();
    // A name of its own, then a rename: who reads meanwhile finds all or nothing.
    writeFileSync(`${namespaceFile()}.new`, JSON.stringify(made), { mode: 0o600 });
    renameSync(`${namespaceFile()}.new`, namespaceFile());
    return made;
  } finally {
    linux.close(lock);
  }
}

/** What keeps this user from having all ids, and the command that gives them; undefined where nothing does. */
export function missingIds(id = process.getuid?.() ?? 0): { reason: string; remedy: string } | undefined {
  const user = { id, group: process.getgid?.() ?? 0, name: userName(id) };
  const helpers = ["newuidmap", "newgidmap"].filter((name) => findProgram(name) === undefined);
  if (helpers.length > 0)
    return { reason: `${helpers.join(" and ")} are not installed`, remedy: "apt-get install uidmap" };
  const { users, groups } = subordinateIds(user);
  if (users.length > 1 && groups.length > 1) return undefined;
  const who = user.name || String(user.id);
  const files = [users.length > 1 ? [] : ["/etc/subuid"], groups.length > 1 ? [] : ["/etc/subgid"]].flat();
  return {
    reason: `${files.join(" and ")} give the user ${who} no ids`,
    remedy: `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${who}`,
  };
}

async function holdNamespace(): Promise<NamespaceRecord> {
  const unshare = findProgram("unshare");
  const tail = findProgram("tail");
  if (unshare === undefined || tail === undefined)
    throw refused("the program unshare is not installed", "Install it: apt-get install util-linux");
  // It sleeps for ever, in a session of its own, so that the end of a terminal is not its end.
  // With a network, too, where the kernel gives one: the user's bridges are in it.
  const network = readOr("/proc/sys/user/max_net_namespaces").trim() === "0" ? [] : ["--net"];
  const holder = Bun.spawn([unshare, "--user", ...network, tail, "-f", "/dev/null"], {
    cwd: "/",
    env: {},
    stdio: ["ignore", "ignore", "pipe"],
    detached: true,
  });
  try {
    await untilInside(holder);
    const single = missingIds() !== undefined;
    if (single) mapOwnId(holder.pid);
    else await mapIds(holder.pid);
    const start = processStart(holder.pid);
    if (start === undefined) throw refused("the process that keeps it has ended");
    holder.unref();
    return { pid: holder.pid, start, ids: single ? "single" : "mapped" };
  } catch (error) {
    holder.kill("SIGKILL");
    throw error;
  }
}

async function untilInside(holder: Bun.Subprocess<"ignore", "ignore", "pipe">): Promise<void> {
  const own = readlinkSync("/proc/self/ns/user");
  for (const end = performance.now() + PATIENCE_MS; performance.now() < end; await Bun.sleep(1)) {
    if (holder.exitCode !== null) {
      const said = (await new Response(holder.stderr).text()).trim();
      throw refused(said || `unshare ended with ${holder.exitCode}`, hintOf());
    }
    try {
      if (readlinkSync(`/proc/${holder.pid}/ns/user`) !== own) return;
    } catch {
      // not there yet, or no more
    }
  }
  throw refused("it did not come up");
}

async function mapIds(pid: number): Promise<void> {
  const { users, groups } = subordinateIds(whoWeAre());
  const map = async (program: string, ranges: IdRange[]): Promise<void> => {
    const numbers = ranges.flatMap(({ inside, outside, length }) => [inside, outside, length].map(String));
    const child = Bun.spawn([findProgram(program) as string, String(pid), ...numbers], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const said = (await new Response(child.stderr).text()).trim();
    if ((await child.exited) !== 0)
      throw refused(
        said,
        /not permitted/i.test(said)
          ? `${program} needs its setuid bit or file capability: reinstall the package uidmap.`
          : undefined,
      );
  };
  await Promise.all([map("newuidmap", users), map("newgidmap", groups)]);
}

/** What everybody may do for their own process, without a helper (user_namespaces(7)). */
function mapOwnId(pid: number): void {
  const { id, group } = whoWeAre();
  try {
    writeFileSync(`/proc/${pid}/setgroups`, "deny");
    writeFileSync(`/proc/${pid}/uid_map`, `0 ${id} 1`);
    writeFileSync(`/proc/${pid}/gid_map`, `0 ${group} 1`);
  } catch (error) {
    throw refused((error as Error).message);
  }
}

function whoWeAre(): { id: number; group: number; name: string } {
  const id = process.getuid?.() ?? 0;
  return { id, group: process.getgid?.() ?? 0, name: userName(id) };
}

function refused(why: string, hint?: string): SlipwayError {
  return new SlipwayError("NAMESPACE_REFUSED", `this user can have no user namespace: ${why}`, {
    ...(hint === undefined ? {} : { hint }),
    exitCode: 125,
  });
}

/** The setting of the host that forbids it, as far as one is known to. */
function hintOf(): string {
  const settings: [file: string, forbids: string, remedy: string][] = [
    ["/proc/sys/user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=28633"],
    ["/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"],
    [
      "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
      "1",
      "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ],
  ];
  for (const [file, forbids, remedy] of settings) {
    try {
      if (readFileSync(file, "utf8").trim() === forbids) return `Root can allow it: ${remedy}`;
    } catch {
      // no such setting here
    }
  }
  return "The host, or the container that this runs in, forbids it.";
}
