import type { AsideCall } from "../../linux/aside.ts";
import { CLONE_NEWNET, O_RDONLY, O_WRONLY } from "../../linux/constants.ts";
import type { Linux } from "../../linux/Linux.ts";
import { LinuxError } from "../../linux/LinuxError.ts";

const [AF_NETLINK, SOCK_RAW, CALLS] = [16, 3, 7];

/** A new network namespace: a descriptor, which keeps it together with the processes in it. */
export function createNetworkNamespace(linux: Linux): number {
  const [, fd = -1] = linux.aside([
    { name: "unshare", flags: CLONE_NEWNET },
    { name: "openat", path: "/proc/self/ns/net", flags: O_RDONLY },
  ]);
  if (fd < 0) throw new LinuxError("open a network namespace", -fd);
  return fd;
}

/** A netlink socket of the namespace; undefined: that of the calling thread. What is asked by it needs no further entering: a socket stays where it was made. */
export function netlinkIn(linux: Linux, namespace: number | undefined, protocol: number): number {
  if (namespace === undefined) return linux.netlinkSocket(protocol);
  return socketIn(linux, namespace, { domain: AF_NETLINK, type: SOCK_RAW, protocol });
}

/** Any socket of it. */
export function socketIn(
  linux: Linux,
  namespace: number | undefined,
  socket: { domain: number; type: number; protocol: number },
): number {
  const [, fd] = linux.aside([enter(namespace), { name: "socket", ...socket }]);
  return fd as number;
}

function enter(namespace: number | undefined): AsideCall {
  return namespace === undefined
    ? { name: "unshare", flags: 0 } // nothing
    : { name: "setns", fd: namespace, flags: CLONE_NEWNET };
}

/** Sets values under /proc/sys/net of the namespace; what is not there or cannot be written is passed over. */
export function setNetworkSettings(
  linux: Linux,
  settings: Record<string, string>,
  namespace: number | undefined,
): void {
  const values = Object.entries(settings);
  for (let at = 0; at < values.length; at += CALLS) {
    const some = values.slice(at, at + CALLS);
    // /proc/sys/net shows the namespace of whoever opens it.
    const [, ...opened] = linux.aside([
      enter(namespace),
      ...some.map(([name]) => ({ name: "openat", path: `/proc/sys/net/${name}`, flags: O_WRONLY }) as const),
    ]);
    for (const [index, fd] of opened.entries()) {
      if (fd < 0) continue;
      try {
        linux.write(fd, Buffer.from(some[index]?.[1] as string));
      } catch (error) {
        if (!(error instanceof LinuxError)) throw error;
      } finally {
        linux.close(fd);
      }
    }
  }
}
