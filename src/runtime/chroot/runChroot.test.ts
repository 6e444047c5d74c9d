import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AT_FDCWD, O_DIRECTORY, O_PATH } from "../../linux/constants.ts";
import { createLinux } from "../../linux/createLinux.ts";
import type { RunStepOptions } from "../runStep.ts";
import { runStep } from "../runStep.ts";

describe.skipIf(process.getuid?.() !== 0)("a step by chroot", () => {
  const linux = createLinux();
  let base: string;
  let counter = 0;
  beforeAll(() => {
    base = mkdtempSync(join(tmpdir(), "slipway-chroot-"));
  });
  afterAll(() => rmSync(base, { recursive: true, force: true }));

  interface Ran {
    code: number;
    out: string;
    err: string;
    root: string;
    directory: string;
  }

  async function step(
    script: string | string[],
    options: Partial<Omit<RunStepOptions, "process">> & Partial<RunStepOptions["process"]> = {},
    prepare: (root: string) => void = () => {},
  ): Promise<Ran> {
    const directory = join(base, String(counter++));
    const root = join(directory, "tree");
    mkdirSync(join(root, "bin"), { recursive: true });
    mkdirSync(join(root, "etc"));
    copyFileSync("/bin/busybox", join(root, "bin/busybox"));
    for (const applet of [
      "sh",
      "cat",
      "ls",
      "id",
      "sleep",
      "chroot",
      "mknod",
      "kill",
      "nohup",
      "setsid",
      "stat",
      "tty",
      "mv",
      "rm",
      "ulimit",
      "env",
      "touch",
      "readlink",
      "grep",
    ])
      symlinkSync("busybox", join(root, "bin", applet));
    writeFileSync(join(root, "etc/passwd"), "root:x:0:0::/root:/bin/sh\nme:x:7:8::/home/me:/bin/sh\n");
    writeFileSync(join(root, "etc/group"), "root:x:0:\nmine:x:8:\nmore:x:9:me\n");
    prepare(root);
    const rootfs = linux.openat(AT_FDCWD, root, O_PATH | O_DIRECTORY);
    const said: [string, string] = ["", ""];
    try {
      const code = await runStep({
        linux,
        sandbox: { kind: "chroot" },
        directory,
        rootfs,
        rootPath: root,
        mounts: [],
        network: "default",
        hosts: [],
        security: "sandbox",
        logs: (stream, bytes) => {
          said[stream - 1] += Buffer.from(bytes).toString();
        },
        ...options,
        process: {
          args: typeof script === "string" ? ["/bin/sh", "-c", script] : script,
          env: options.env ?? [],
          cwd: options.cwd ?? "/",
          user: options.user ?? "",
        },
      });
      return { code, out: said[0], err: said[1], root, directory };
    } finally {
      linux.close(rootfs);
    }
  }

  test("has its own root, user, environment and streams, and leaves nothing in the root but what it wrote", async () => {
    const before = process.env.SECRET_OF_OURS;
    process.env.SECRET_OF_OURS = "never seen";
    try {
      const ran = await step(
        "id; env; pwd; readlink /proc/self/fd; ls / /dev /proc/self; echo named >/dev/stdout; echo bad >/dev/stderr; echo x >/home/f; cat /etc/hosts >/home/hosts; exit 7",
        { user: "me", cwd: "/home", env: ["A=b"] },
        (root) => {
          mkdirSync(join(root, "home"), { mode: 0o777 });
          Bun.spawnSync(["chmod", "777", join(root, "home")]);
        },
      );
      expect(ran.code).toBe(7);
      expect(ran.out).toStartWith("uid=7(me) gid=8(mine) groups=8(mine),9(more)\n");
      expect(ran.out).toContain("\nA=b\n");
      expect(ran.out).toContain("HOME=/home/me\n");
      expect(ran.out).toContain("\n/home\n");
      expect(ran.out).not.toContain("never seen");
      expect(ran.out).toContain("named\n");
      expect(ran.err).toBe("bad\n");
      expect(readFileSync(join(ran.root, "home/hosts"), "utf8")).toContain("buildkitsandbox");
      expect(readdirSync(ran.root).sort()).toEqual(["bin", "dev", "etc", "home", "proc", "sys"]);
      for (const each of ["dev", "proc", "sys", "../aside"]) expect(readdirSync(join(ran.root, each))).toEqual([]);
      expect(readdirSync(join(ran.root, "etc")).sort()).toEqual(["group", "passwd"]);
    } finally {
      if (before === undefined) delete process.env.SECRET_OF_OURS;
    }
  });

  test("cannot leave its root, make devices, see our descriptors or the terminal; what it leaves running is ended", async () => {
    const secret = join(base, "secret");
    writeFileSync(secret, "ours");
    const open = linux.openat(AT_FDCWD, secret, 0);
    linux.dup(open);
    const ran = await step(
      `mkdir() { busybox mkdir "$@"; }; mkdir /in; chroot /in /bin/true; echo chroot $?; mknod /disk b 8 0; echo mknod $?
       busybox ls -l /proc; cat /proc/self/fd/[3-9]* /dev/fd/[3-9]*; tty; cat <>/dev/tty; ls ${base}; ls /../../..
       (setsid nohup sleep 77.${process.pid} >/dev/null 2>&1 &) ; grep Cap /proc/self/status; echo done`,
    );
    expect(ran.out).toContain("chroot 1\nmknod 1\n");
    expect(ran.err).toContain("chroot: can't change root directory to '/in': Operation not permitted");
    expect(ran.out).not.toContain("ours");
    expect(ran.err).toMatch(/\/dev\/tty: No such device or address/);
    expect(ran.err).toContain(`ls: ${base}: No such file or directory`);
    expect(ran.out).toEndWith("done\n");
    const all = Bun.spawnSync(["ps", "-eo", "args"]).stdout.toString();
    expect(all).not.toContain(`sleep 77.${process.pid}`);
  });

  test("gets what others mount put in place and taken out: covered files come back, a lent directory keeps what was written", async () => {
    const here = join(base, "mounts");
    for (const each of ["lent", "given", "bound/deep"]) mkdirSync(join(here, each), { recursive: true });
    writeFileSync(join(here, "given/g"), "given");
    writeFileSync(join(here, "bound/deep/f"), "bound");
    writeFileSync(join(here, "secret"), "s3cret", { mode: 0o400 });
    const server = createServer((socket) => socket.end("hello")).listen(join(here, "socket"));
    await new Promise((resolve) => server.once("listening", resolve));
    try {
      const ran = await step(
        "cat /run/secrets/s /data/deep/f /link/g; echo new >/cache/n; echo t >/scratch/t; rm -r /data; ls -l /agent; stat -c %a /scratch; mv /cache/n /cache/m; cat /etc/resolv.conf >/dev/null && echo res; rm /etc/resolv.conf",
        {
          mounts: [
            { target: "/agent", type: "bind", source: join(here, "socket"), readOnly: false },
            { target: "/cache", type: "bind", source: join(here, "lent"), readOnly: false, own: "lent" },
            { target: "/data", type: "bind", source: join(here, "bound"), readOnly: true },
            { target: "/link", type: "bind", source: join(here, "given"), readOnly: true, own: "given" },
            { target: "/run/secrets/s", type: "bind", source: join(here, "secret"), readOnly: true },
            { target: "/scratch", type: "tmpfs", readOnly: false, options: ["mode=1777"] },
          ],
        },
        (root) => {
          mkdirSync(join(root, "data"));
          mkdirSync(join(root, "real"));
          writeFileSync(join(root, "data/covered"), "covered");
          symlinkSync("/real", join(root, "link"));
          writeFileSync(join(root, "etc/resolv.conf"), "image's");
        },
      );
      expect(ran.err).toBe("");
      expect(ran.out).toMatch(/^s3cretboundgivens.* \/agent\n1777\nres\n$/);
      expect(readFileSync(join(here, "lent/m"), "utf8")).toBe("new\n");
      expect(readFileSync(join(here, "bound/deep/f"), "utf8")).toBe("bound");
      expect(existsSync(join(here, "given"))).toBe(false);
      expect(readFileSync(join(ran.root, "data/covered"), "utf8")).toBe("covered");
      expect(readFileSync(join(ran.root, "etc/resolv.conf"), "utf8")).toBe("image's");
      expect(readdirSync(ran.root).sort()).toEqual(["bin", "data", "dev", "etc", "link", "proc", "real", "sys"]);
      expect(readdirSync(join(ran.root, "real"))).toEqual([]);
      expect(statSync(join(here, "socket")).isSocket()).toBe(true);
    } finally {
      server.close();
    }
  });

  test.skipIf(Bun.which("setpriv") === null)(
    "has no capability to leave its root where the bounding set cannot be made smaller",
    async () => {
      const file = join(base, "again.ts");
      writeFileSync(
        file,
        `import { rootCapabilities, runInRoot } from "${import.meta.dir}/runInRoot.ts";
       import { createLinux } from "${import.meta.dir}/../../linux/createLinux.ts";
       const code = await runInRoot({ linux: createLinux(), directory: process.argv[2], root: process.argv[2] + "/tree",
         process: { args: ["/bin/sh", "-c", "chroot / true; grep -E 'CapEff|NoNew' /proc/self/status; id -u"], env: ["PATH=/bin"], cwd: "/" },
         user: { uid: 0, gid: 0, additionalGids: [0], home: "/" }, mounts: [], rlimits: [],
         capabilities: rootCapabilities({ add: [], drop: [] }), logs: (_, bytes) => process.stdout.write(bytes) });
       process.exit(code);`,
      );
      const { directory } = await step("true");
      const made = join(directory, "again");
      mkdirSync(made);
      Bun.spawnSync(["mv", join(directory, "tree"), join(made, "tree")]);
      const without = ["setpriv", "--bounding-set=-setpcap", "--inh-caps=-all"];
      const { stdout, stderr } = Bun.spawnSync([...without, process.execPath, file, made]);
      expect(stderr.toString()).toBe("");
      expect(stdout.toString()).toMatch(/chroot: can't change root directory.*not permitted\n.*0\n$/s);
    },
  );

  test("ends as its program does, says why it could not begin, and refuses by name what needs namespaces", async () => {
    expect(
      await step("ulimit -n; kill -TERM $$", { rlimits: [{ type: "RLIMIT_NOFILE", soft: 77, hard: 99 }] }),
    ).toMatchObject({ code: 143, out: "77\n" });
    const thrown = async (work: Promise<unknown>): Promise<unknown> =>
      work.then(
        () => "ended well",
        (error) => error,
      );
    expect(await thrown(step(["nothing"]))).toMatchObject({ code: "EXECUTABLE_NOT_FOUND", exitCode: 127 });
    expect(await thrown(step(["/etc/passwd"]))).toMatchObject({ code: "NOT_EXECUTABLE", exitCode: 126 });
    expect(await thrown(step("true", { network: "none" }))).toMatchObject({ code: "ISOLATION_UNAVAILABLE" });
    expect(await thrown(step("true", { security: "insecure" }))).toMatchObject({ code: "ISOLATION_UNAVAILABLE" });
    expect(
      await thrown(step("true", { mounts: [{ target: "/t", type: "tmpfs", readOnly: false, options: ["size=1m"] }] })),
    ).toMatchObject({ code: "ISOLATION_UNAVAILABLE" });
    const abort = new AbortController();
    const started = performance.now();
    const running = step("(sleep 30 &); sleep 30", { signal: abort.signal });
    setTimeout(() => abort.abort(new Error("enough")), 300);
    expect(await thrown(running)).toMatchObject({ message: "enough" });
    expect(performance.now() - started).toBeLessThan(5000);
  });
});
