import { AT_FDCWD, CLONE_NEWNET, NETLINK_ROUTE, O_RDONLY, O_WRONLY } from "../../linux/constants.ts";
import type { Linux } from "../../linux/Linux.ts";
import { LinuxError } from "../../linux/LinuxError.ts";
import { type Links, linksBy } from "./links.ts";

const OWN_NAMESPACE = "/proc/thread-self/ns/net";

/** A new network namespace: a descriptor, which keeps it together with the processes in it. */
export function createNetworkNamespace(linux: Linux): number {
  return leaving(linux, () => {
    linux.unshare(CLONE_NEWNET);
    return linux.openat(AT_FDCWD, OWN_NAMESPACE, O_RDONLY);
  });
}

/** Its devices. What is asked of them needs no further entering: a socket stays in the namespace that it was made in. */
export function openLinksInside(linux: Linux, namespace: number): Links {
  return linksBy(
    linux,
    inside(linux, namespace, () => linux.netlinkSocket(NETLINK_ROUTE)),
  );
}

/** Sets values under /proc/sys/net of the namespace; what is not there or cannot be written is passed over. */
export function setNetworkSettings(linux: Linux, settings: Record<string, string>, namespace?: number): void {
  const values = Object.entries(settings);
  const open = (): (number | undefined)[] => values.map(([name]) => openSetting(linux, name));
  const opened = namespace === undefined ? open() : inside(linux, namespace, open);
  for (const [at, fd] of opened.entries()) {
    if (fd === undefined) continue;
    try {
      linux.write(fd, Buffer.from(values[at]?.[1] as string));
    } catch (error) {
      if (!(error instanceof LinuxError)) throw error;
    } finally {
      linux.close(fd);
    }
  }
}

/**
 * What `work` opens on this thread, it opens in that namespace. Let it be short: a thread that the JavaScript engine happens to start meanwhile
 * stays in the namespace and keeps it, for as long as this process lives.
 */
export function inside<T>(linux: Linux, namespace: number, work: () => T): T {
  return leaving(linux, () => {
    linux.setns(namespace, CLONE_NEWNET);
    return work();
  });
}

/** This thread is in the same namespace after `work` as before. */
function leaving<T>(linux: Linux, work: () => T): T {
  const before = linux.openat(AT_FDCWD, OWN_NAMESPACE, O_RDONLY);
  try {
    try {
      return work();
    } finally {
      linux.setns(before, CLONE_NEWNET);
    }
  } finally {
    linux.close(before);
  }
}

/** By the thread's own way: /proc/sys/net shows the namespace of whoever opens it. */
function openSetting(linux: Linux, name: string): number | undefined {
  try {
    return linux.openat(AT_FDCWD, `/proc/sys/net/${name}`, O_WRONLY);
  } catch (error) {
    if (error instanceof LinuxError) return undefined;
    throw error;
  }
}
