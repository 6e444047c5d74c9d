import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { makeBusyboxRoot, mountOverlay } from "../../test/support/busyboxRoot.ts";
import { createLinux } from "../linux/createLinux.ts";
import { enterMountNamespace, type MountNamespace } from "./MountNamespace.ts";
import { probeRuntime } from "./probe.ts";
import type { Runtime } from "./Runtime.ts";
import { type RunStepOptions, runStep } from "./runStep.ts";
import { runDirectory } from "./runtimeCommand.ts";

const linux = createLinux();
let base: string;
let runtime: Runtime;
let namespace: MountNamespace;
let counter = 0;

beforeAll(async () => {
  base = mkdtempSync("/var/tmp/slipway-step-");
  makeBusyboxRoot(`${base}/lower`);
  const settings = new Map<string, string>();
  runtime = await probeRuntime(linux, {
    get: (key) => settings.get(key),
    set: (key, value) => void settings.set(key, value),
  });
  namespace = enterMountNamespace(linux, runtime);
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
  upper: string;
  directory: string;
}

async function step(
  script: string | string[],
  options: Partial<Omit<RunStepOptions, "process">> & Partial<RunStepOptions["process"]> = {},
): Promise<Outcome> {
  const directory = `${base}/${counter++}`;
  mkdirSync(directory);
  const rootfs = mountOverlay(linux, `${base}/lower`, directory);
  const out: [string, string] = ["", ""];
  try {
    const code = await runStep({
      linux,
      sandbox: { kind: "oci", runtime, namespace },
      directory,
      rootfs,
      mounts: [],
      network: "default",
      hosts: [],
      security: "sandbox",
      logs: (stream, bytes) => {
        out[stream - 1] += new TextDecoder().decode(bytes);
      },
      ...options,
      process: {
        args: typeof script === "string" ? ["/bin/sh", "-c", script] : script,
        env: options.env ?? [],
        cwd: options.cwd ?? "/",
        user: options.user ?? "",
      },
    });
    return { code, stdout: out[0], stderr: out[1], upper: `${directory}/upper`, directory };
  } finally {
    linux.close(rootfs);
  }
}

describe("runStep", () => {
  test("hands over both streams and the exit code", async () => {
    const result = await step("echo out; echo err >&2; exit 7");
    expect(result).toMatchObject({ code: 7, stdout: "out\n", stderr: "err\n" });
  });

  test("a program that opens /dev/stdout and /dev/stderr by name is heard, another user's, too", async () => {
    for (const user of ["", "guest"])
      expect(await step("echo out >/dev/stdout; echo err >>/dev/stderr; echo two >&2", { user })).toMatchObject({
        code: 0,
        stdout: "out\n",
        stderr: "err\ntwo\n",
      });
  });

  test("leaves what was written in the upper directory and nothing else", async () => {
    const result = await step("echo hi > /tmp/a");
    expect(result.code).toBe(0);
    expect(readdirSync(result.upper, { recursive: true }).sort()).toEqual(["etc", "tmp", "tmp/a"]);
  });

  test("a step that writes nothing leaves an empty upper directory but for the parents of what was mounted", async () => {
    const result = await step(["true"]);
    expect(readdirSync(result.upper, { recursive: true })).toEqual(["etc"]);
    expect(existsSync(`/proc/self/fd/${0}`)).toBe(true);
  });

  test("gives the environment, PATH and HOME added, and the working directory, made where missing", async () => {
    const result = await step("env; pwd", { env: ["A=b", "EMPTY="], cwd: "/srv/deep", user: "guest" });
    expect(result.stdout).toContain("A=b\n");
    expect(result.stdout).toContain("EMPTY=\n");
    expect(result.stdout).toContain("HOME=/home/guest\n");
    expect(result.stdout).toContain("PATH=/usr/local/sbin:");
    expect(result.stdout).toEndWith("/srv/deep\n");
  });

  test("looks up users and their groups in the image", async () => {
    expect((await step("id -u; id -g; id -G", { user: "guest" })).stdout).toBe("1000\n1001\n1001 10\n");
    expect((await step("id -u; id -g", { user: "1234:wheel" })).stdout).toBe("1234\n10\n");
    expect(step("true", { user: "nemo" })).rejects.toMatchObject({ code: "USER_NOT_FOUND" });
    expect(step("true", { user: "guest:nemo" })).rejects.toMatchObject({ code: "GROUP_NOT_FOUND" });
  });

  test("runs with Docker's default capabilities and a seccomp filter", async () => {
    const result = await step("cat /proc/self/status");
    expect(result.stdout).toContain("CapEff:\t00000000a80425fb\n");
    expect(result.stdout).toContain("CapBnd:\t00000000a80425fb\n");
    expect(result.stdout).toContain("CapInh:\t0000000000000000\n");
    expect(result.stdout).toContain("Seccomp:\t2\n");
  });

  test("makes no device that reaches the host's disks or memory, but whiteouts and null", async () => {
    const result = await step(
      "mknod /tmp/disk b 254 0 && echo disk; mknod /dev/mem c 1 1 && echo mem; mknod /dev/null2 c 1 3 && echo null; mknod /dev/white c 0 0 && echo white; mknod /tmp/pipe p && echo pipe; true",
    );
    expect(result.stdout).toBe(runtime.cgroups ? result.stdout : "null\nwhite\npipe\n");
  });

  test("cannot write to /proc/sys and /sys", async () => {
    const result = await step("echo 1 > /proc/sys/kernel/panic || echo no; mkdir /sys/fs/cgroup/x || echo no");
    expect(result.stdout).toBe("no\nno\n");
  });

  test("says 127 for a program that is not there and 126 for one that is none", async () => {
    expect(step(["nosuchprogram"])).rejects.toMatchObject({
      code: "EXECUTABLE_NOT_FOUND",
      exitCode: 127,
      message: 'exec: "nosuchprogram": executable file not found in $PATH',
    });
    expect(step(["/no/such"])).rejects.toMatchObject({ exitCode: 127 });
    expect(step(["/etc/passwd"])).rejects.toMatchObject({ code: "NOT_EXECUTABLE", exitCode: 126 });
    expect((await step("nosuchprogram")).code).toBe(127);
  });

  test("network none has a loopback that is up and nothing else", async () => {
    const result = await step("ls /sys/class/net; cat /sys/class/net/lo/flags; ip addr show lo", { network: "none" });
    expect(result.stdout).toStartWith("lo\n0x9\n");
    expect(result.stdout).toContain("127.0.0.1/8");
  });

  test("writes the hosts file with what was added", async () => {
    const result = await step("cat /etc/hosts; hostname", { hosts: ["db:10.0.0.5", "six=[::2]"] });
    expect(result.stdout).toContain("10.0.0.5\tdb\n");
    expect(result.stdout).toContain("::2\tsix\n");
    expect(result.stdout).toEndWith("buildkitsandbox\n");
  });

  test("mounts directories and files, read-only where asked, and takes their places away again", async () => {
    mkdirSync(`${base}/src`, { recursive: true });
    writeFileSync(`${base}/src/f`, "content");
    const result = await step(
      "cat /mnt/x/f; echo no > /mnt/x/g || echo refused; echo 1 > /cache/y; cat /file; df /t | grep -c tmpfs",
      {
        mounts: [
          { target: "/mnt/x", type: "bind", source: `${base}/src`, readOnly: true },
          { target: "/cache", type: "bind", source: `${base}/src`, readOnly: false },
          { target: "/file", type: "bind", source: `${base}/src/f`, readOnly: true },
          { target: "/t", type: "tmpfs", readOnly: false },
        ],
      },
    );
    expect(result.stdout).toStartWith("contentrefused\ncontent");
    expect(readFileSync(`${base}/src/y`, "utf8")).toBe("1\n");
    expect(readdirSync(result.upper).filter((name) => name !== "etc")).toEqual([]);
  });

  test("an abort kills everything at once and leaves no mount and no state", async () => {
    const abort = new AbortController();
    const before = performance.now();
    const running = step("sleep 600 & sleep 600", {
      signal: abort.signal,
      mounts: [],
    });
    setTimeout(() => abort.abort(new Error("stopped")), 100);
    expect(running).rejects.toThrow("stopped");
    await running.catch(() => undefined);
    expect(performance.now() - before).toBeLessThan(5000);
    expect(
      readdirSync(`${runDirectory()}/${runtime.name}`).filter((name) => name.startsWith(`step-${process.pid}-`)),
    ).toEqual([]);
    expect(readFileSync("/proc/thread-self/mountinfo", "utf8")).not.toContain(base);
  });

  test("an abort in the middle of the start leaves nothing either", async () => {
    for (const delay of [0, 3, 6, 10, 15, 20]) {
      const abort = new AbortController();
      const running = step("sleep 600", { signal: abort.signal });
      setTimeout(() => abort.abort(new Error("stopped")), delay);
      expect(running).rejects.toThrow("stopped");
      await running.catch(() => undefined);
    }
    expect(
      readdirSync(`${runDirectory()}/${runtime.name}`).filter((name) => name.startsWith(`step-${process.pid}-`)),
    ).toEqual([]);
  });

  test("steps run side by side", async () => {
    const results = await Promise.all([1, 2, 3, 4].map((n) => step(`echo ${n} > /tmp/n; cat /tmp/n`)));
    expect(results.map((each) => each.stdout)).toEqual(["1\n", "2\n", "3\n", "4\n"]);
  });

  test("a link in the image for /etc leads nowhere outside", async () => {
    const result = await step("rm -rf /etc; true");
    expect(result.code).toBe(0);
    expect(existsSync("/etc/passwd")).toBe(true);
  });
});
