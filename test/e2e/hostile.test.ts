import { expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type MadeEntry, makeTar } from "../support/layerTar.ts";
import { readOr } from "../../src/runtime/readOr.ts";
import { rungs } from "../support/rungs.ts";
import { withSlipway } from "../support/withSlipway.ts";

const caller = process.getuid?.() === 0 ? rungs.namespace.caller() : { missing: "only root may drop into others" };
const MARK = "slipway-hostile";

/** What is done in the image, whatever it says. `%OUT` is a folder of the host that everybody may write to. */
const ACCEPTED = [
  // Setuid, setgid, world-writable; a directory that nobody may enter.
  "RUN cp /bin/busybox /suid && chmod 6755 /suid && mkdir -m 1777 /open && mkdir -m 0 /shut && chown 1:1 /suid && chmod 6755 /suid",
  `RUN cp /bin/busybox /root-suid && chmod 4755 /root-suid`,
  // Devices of the host.
  // Links that lead out, and writes that follow them.
  `RUN ln -s /etc /to-etc && ln -s ../../../../../../../../etc /up && ln -s %OUT /out && ln -s /proc/1/root /host && ln -s /proc/self/cwd/../../../.. /dots`,
  `COPY file /to-etc/${MARK}`,
  `COPY file /up/${MARK}`,
  `COPY file /out/${MARK}`,
  `COPY file /host/etc/${MARK}`,
  `COPY file ../../../../../../../../../../etc/${MARK}`,
  `COPY file /dots/etc/${MARK}`,
  `ADD links.tar /`,
  `ADD climbing.tar /a/b/`,
  `ADD absolute.tar /`,
  `WORKDIR /out/${MARK}-workdir`,
  `WORKDIR ../../../../../../../../etc/${MARK}-workdir`,
  "WORKDIR /",
  `RUN --mount=type=cache,target=/out/${MARK}-cache touch /out/${MARK}-cache/x`,
  `RUN --mount=type=cache,id=../../../../../../etc/${MARK},target=/c touch /c/x`,
  `RUN --mount=type=tmpfs,target=/to-etc/${MARK}-scratch true`,
  `RUN --mount=type=bind,from=busybox,source=/../../../../etc,target=/e,rw touch /e/${MARK}`,
  `VOLUME ["/../../../../etc/${MARK}-volume", "/out/${MARK}-volume"]`,
  // The kernel's own, with all that a root of a user namespace may.
  `RUN echo ${MARK} >/proc/sys/kernel/hostname; echo ${MARK} >/proc/sys/kernel/core_pattern; echo ${MARK} >/sys/kernel/uevent_helper; hostname ${MARK}; mount -t proc p /mnt; umount -l /etc/hosts; mount -o remount,rw /sys; ls /proc/1/root/etc`,
  "RUN --security=insecure mount -o remount,rw /proc/sys; mount -o remount,rw /sys; echo 1 >/proc/sys/net/ipv4/conf/lo/log_martians; mount -t sysfs s /mnt; echo c >/dev/kmsg",
  // Names as long as they may be, and longer.
  `RUN n=$(printf 'n%.0s' $(seq 255)) && touch /$n && d=/deep && for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18; do mkdir -p $d; cd $d; d=./$n; done; touch x`,
  `COPY file "/new\\nline/\\u0001"`,
];
/** Each is an error of its own. */
const REFUSED = [
  "RUN mknod /disk b 8 0 || mknod /mem c 1 1",
  "ADD device.tar /",
  `ADD hard.tar /`,
  `RUN --mount=type=bind,source=../../../../../../etc,target=/e,rw touch /e/${MARK}`,
  `RUN --mount=type=secret,id=../../../etc/shadow,required cat /run/secrets/* >/etc/${MARK}`,
  `COPY file /${"x".repeat(300)}`,
];

const named = "missing" in caller ? test.skip : test;
named(
  "hostile builds, images and containers of a plain user change nothing outside the store, and leave nothing in it that another user could run",
  () =>
    withSlipway(
      async (slipway) => {
        if ("missing" in caller) return;
        const { directory, root } = slipway;
        const base = join(directory, "..");
        chmodSync(base, 0o755); // as a home may be: the store must keep itself
        const out = join(base, "everyone");
        mkdirSync(out);
        chmodSync(out, 0o777);
        contextIn(directory);
        await slipway.run(["pull", "-q", "busybox"]);
        const before = snapshot();
        const any = { exit: "any" } as const;

        const build = (steps: string[], tag: string, exit: number) =>
          slipway.run(["build", "--progress=plain", "--allow=security.insecure", "-t", tag, "-f", "-", "."], {
            input: `FROM busybox\n${steps.join("\n")}\n`.replaceAll("%OUT", out),
            exit,
          });
        await build(ACCEPTED, "evil", 0);
        for (const step of REFUSED) {
          const { stderr } = await build([step], "refused", 1);
          expect([step, stderr]).not.toEqual([
            step,
            expect.stringMatching(/at (async )?\S+ \(|undefined is not|null is not/),
          ]);
        }

        // Containers with all privileges that there are, volumes and names that climb, and copies through links.
        const run = (...args: string[]) => slipway.run(["run", "--rm", ...args], any);
        const mark = `echo ${MARK} >`;
        const kernel = `${mark}/proc/sys/kernel/core_pattern; ${mark}/proc/sys/kernel/hostname; mknod /d b 8 0; mount -t devtmpfs d /mnt; chroot /proc/1/root touch /etc/${MARK}`;
        await run("--privileged", "busybox", "sh", "-c", kernel);
        await run(
          "--privileged",
          "--pid=host",
          "--network=host",
          "--uts=host",
          "--ipc=host",
          "busybox",
          "sh",
          "-c",
          `hostname ${MARK}; ip link add ${MARK} type dummy; ${kernel}`,
        );
        await run(
          "-v",
          "/etc:/e",
          "-v",
          "/usr:/u",
          "-v",
          "/root:/r",
          "busybox",
          "sh",
          "-c",
          `touch /e/${MARK} /u/${MARK} /r/${MARK}; ln /e/passwd /e/${MARK}-link; mv /e/motd /e/${MARK}-motd; chmod 777 /e; chown 0 /e/shadow; cat /e/shadow`,
        ).then(({ stdout }) => expect(stdout).toBe(""));
        for (const volume of [
          `../../${MARK}:/v`,
          `x/../../${MARK}:/v`,
          `vol:/../../../etc/${MARK}`,
          `vol:/out/${MARK}`,
        ])
          await run("-v", volume, "evil", "touch", `/v/${MARK}`);
        for (const name of [`../../../../tmp/${MARK}`, ".."]) {
          await slipway.run(["volume", "create", name], any);
          await slipway.run(["build", "-t", name, "-"], { input: "FROM scratch", ...any });
          await slipway.run(["rm", "-f", name], any);
          await slipway.run(["rmi", "-f", name], any);
          await run("--name", name, "busybox", "true");
        }
        await slipway.run(["create", "--name=links", "evil"]);
        for (const target of [
          `/to-etc/${MARK}`,
          `/up/${MARK}`,
          `/out/${MARK}`,
          `/host/etc/${MARK}`,
          `/../../../../etc/${MARK}`,
        ])
          await slipway.run(["cp", "file", `links:${target}`], any);
        await slipway.run(["load", "-i", "climbing.tar"], any);
        await slipway.run(["import", "device.tar", "device"], any);

        expect(snapshot()).toEqual(before);
        expect(readdirSync(out)).toEqual([]);

        // What is setuid is there, and nobody else comes near it, nor to a socket.
        const found = (prefix: string[]) =>
          Bun.spawnSync([
            ...prefix,
            "find",
            root,
            join(base, "run/slipway"),
            "(",
            "-perm",
            "/6000",
            "-o",
            "-type",
            "s",
            "-o",
            "-perm",
            "-0002",
            "!",
            "-type",
            "l",
            ")",
          ]).stdout.toString();
        expect(found([])).toMatch(/suid/);
        expect(found(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])).toBe("");
        for (const place of [root, join(base, "run/slipway")])
          expect([place, statSync(place).mode & 0o777]).toEqual([place, 0o700]);
        for (const name of readdirSync(root)) {
          const stat = statSync(join(root, name));
          if (stat.isDirectory()) expect([name, stat.mode & 0o077]).toEqual([name, 0]);
        }
      },
      "missing" in caller ? {} : { caller },
    ),
  180_000,
);

/** The host as far as nobody else changes it meanwhile: programs and settings, what the kernel was told, and whatever anywhere has our mark or our user's ids. */
function snapshot(): Record<string, string | string[]> {
  const find = (...args: string[]): string[] =>
    Bun.spawnSync(["find", ...args])
      .stdout.toString()
      .split("\n")
      .filter((line) => line !== "")
      .sort();
  const kernel = ["kernel/hostname", "kernel/core_pattern", "kernel/modprobe", "net/ipv4/conf/lo/log_martians"];
  const own = ["-uid", "3100001", "-o", "-uid", "+3199999"];
  const elsewhere = ["/home", "/root", "/var", "/run", "/tmp", "/opt", "/srv", "/mnt", "/dev"].filter((path) =>
    existsSync(path),
  );
  return {
    settings: find("/etc", "-printf", "%p %m %U:%G %s %T@ %y %l\n"),
    programs: find("/usr", "-maxdepth", "3", "-printf", "%p %m %U:%G %T@ %y %l\n"),
    kernel: kernel.map((name) => readOr(`/proc/sys/${name}`)),
    top: find("/", "-maxdepth", "1", "-printf", "%p %m %U:%G %y\n"),
    marked: find(
      ...elsewhere,
      "-xdev",
      "(",
      "-name",
      "slipway-e2e-*",
      "-prune",
      ")",
      "-o",
      "(",
      "-name",
      `${MARK}*`,
      "-o",
      ...own,
      ")",
      "-print",
    ),
    devices: readdirSync("/sys/class/net").filter((name) => name.includes(MARK)),
  };
}

/** Archives that lie: a device, links that lead out with files behind them, names that climb, hard links to what is outside. */
function contextIn(directory: string): void {
  writeFileSync(join(directory, "file"), "evil\n");
  symlinkSync("/etc/shadow", join(directory, "shadow"));
  const link = (path: string, linkname: string): MadeEntry => ({ path, type: "symlink", linkname });
  const archives: Record<string, MadeEntry[]> = {
    device: [{ path: "disk", type: "char", major: 8, minor: 0, mode: 0o666 }],
    links: [
      link("x", "/etc"),
      { path: `x/${MARK}`, type: "file" },
      link("y", "../../../../../../etc"),
      { path: `y/${MARK}`, type: "file" },
    ],
    climbing: [{ path: `../../../../../../../../etc/${MARK}`, type: "file" }],
    absolute: [{ path: `/etc/${MARK}`, type: "file" }],
    hard: [{ path: "h", type: "hardlink", linkname: "../../../../../../../../etc/passwd" }],
  };
  for (const [name, entries] of Object.entries(archives))
    writeFileSync(join(directory, `${name}.tar`), makeTar(entries));
}
