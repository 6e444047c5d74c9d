import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { writeTar } from "./writeTar.mjs";

/** Layer (one tar) and container configuration of a base image made of this machine's busybox-static, laid out as alpine and busybox are. */
export function busyboxImage() {
  const busybox = ["/bin/busybox", "/usr/bin/busybox"].find((path) => existsSync(path));
  if (busybox === undefined) throw new Error("busybox is missing: install busybox-static");
  const applets = execFileSync(busybox, ["--list-full"], { encoding: "utf8" })
    .trim()
    .split("\n")
    .filter((path) => path !== "bin/busybox" && path !== "linuxrc");
  const tar = writeTar([
    ...folders.map((path) => ({ path, directory: true, mode: modes[path] ?? 0o755 })),
    ...Object.entries(files).map(([path, content]) => ({ path, content, mode: path === "etc/shadow" ? 0o640 : 0o644 })),
    { path: "bin/busybox", content: readFileSync(busybox), mode: 0o755 },
    ...applets.map((path) => ({ path, link: "/bin/busybox" })),
  ]);
  return { layers: [tar], config: { Env: [`PATH=${searchPath}`], Cmd: ["/bin/sh"], WorkingDir: "/" } };
}

const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const folders = (
  "bin dev etc home lib media mnt opt proc root run sbin srv sys tmp usr usr/bin usr/lib usr/local usr/local/bin usr/local/lib " +
  "usr/local/sbin usr/local/share usr/sbin usr/share var var/cache var/empty var/lib var/log var/spool var/tmp"
).split(" ");

const modes = { root: 0o700, tmp: 0o1777, "var/tmp": 0o1777, proc: 0o555, sys: 0o555 };

const files = {
  "etc/passwd":
    "root:x:0:0:root:/root:/bin/sh\nbin:x:1:1:bin:/bin:/sbin/nologin\ndaemon:x:2:2:daemon:/sbin:/sbin/nologin\n" +
    "guest:x:405:100:guest:/dev/null:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n",
  "etc/group":
    "root:x:0:root\nbin:x:1:root,bin,daemon\ndaemon:x:2:root,bin,daemon\ntty:x:5:\nwheel:x:10:root\nusers:x:100:\n" +
    "nobody:x:65534:\n",
  "etc/shadow": "root:*::0:::::\nbin:!::0:::::\ndaemon:!::0:::::\nguest:!::0:::::\nnobody:!::0:::::\n",
  "etc/hosts": "127.0.0.1\tlocalhost\n",
  "etc/profile": `export PATH=${searchPath}\n`,
  "etc/shells": "/bin/sh\n/bin/ash\n",
  "etc/os-release": 'ID=busybox\nNAME="BusyBox"\nPRETTY_NAME="BusyBox, from busybox-static"\n',
};
