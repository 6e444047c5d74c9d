import { chmodSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import type { Linux } from "../../src/linux/Linux.ts";

const APPLETS =
  "sh true false echo cat ls sleep id env pwd mkdir rm touch head tail stat mount mknod hostname ip chmod ps kill trap stty tty dd seq yes sync test [ awk grep wc chown nc ulimit".split(
    " ",
  );

/** A small root file system made of Debian's busybox-static. */
export function makeBusyboxRoot(directory: string): void {
  for (const name of ["bin", "dev", "etc", "proc", "root", "sys", "tmp"])
    mkdirSync(`${directory}/${name}`, { recursive: true });
  chmodSync(`${directory}/tmp`, 0o1777);
  copyFileSync("/bin/busybox", `${directory}/bin/busybox`);
  chmodSync(`${directory}/bin/busybox`, 0o755);
  for (const applet of APPLETS) symlinkSync("busybox", `${directory}/bin/${applet}`);
  writeFileSync(
    `${directory}/etc/passwd`,
    "root:x:0:0:root:/root:/bin/sh\nguest:x:1000:1001:guest:/home/guest:/bin/sh\nnobody:x:65534:65534::/nonexistent:/bin/false\n",
  );
  writeFileSync(`${directory}/etc/group`, "root:x:0:\nguest:x:1001:\nwheel:x:10:root,guest\nnogroup:x:65534:\n");
}

/** A detached overlay of `lower` with `directory`/upper on top, as the snapshotter makes them. */
export function mountOverlay(linux: Linux, lower: string, directory: string): number {
  mkdirSync(`${directory}/upper`, { recursive: true });
  mkdirSync(`${directory}/work`, { recursive: true });
  const fs = linux.fsopen("overlay");
  try {
    linux.fsconfigString(fs, "lowerdir", lower);
    linux.fsconfigString(fs, "upperdir", `${directory}/upper`);
    linux.fsconfigString(fs, "workdir", `${directory}/work`);
    linux.fsconfigCreate(fs);
    return linux.fsmount(fs, 0);
  } finally {
    linux.close(fs);
  }
}
