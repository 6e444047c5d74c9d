import { expect } from "bun:test";
import { existsSync, globSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { e2e } from "../../support/e2e.ts";
import type { Slipway } from "../../support/withSlipway.ts";

e2e(
  "run's flags for the process, its namespaces, devices and limits do what docker's do, and what cannot be done is an error",
  async (slipway) => {
    const run = (...args: string[]) => slipway.text("run", "--rm", ...args);
    const refused = async (...args: string[]) => (await slipway.run(["run", "--rm", ...args], { exit: 125 })).stderr;
    await slipway.run(["pull", "-q", "alpine"]);

    const envFile = join(slipway.directory, "env");
    writeFileSync(envFile, "\ufeffA=1\n# a comment\n\n  B=two words  \nFROM_HERE\nUNSET_HERE\n");
    const environment = await slipway.run(
      [
        "run",
        "--rm",
        "--env-file",
        envFile,
        "-e",
        "A=2",
        "alpine",
        "sh",
        "-c",
        'echo "$A|$B|$FROM_HERE|${UNSET_HERE-none}"',
      ],
      { env: { FROM_HERE: "yes" } },
    );
    expect(environment.stdout).toBe("2|two words  |yes|none\n");
    writeFileSync(envFile, "BAD NAME=1\n");
    expect(await refused("--env-file", envFile, "alpine", "true")).toContain(
      "line 1: variable 'BAD NAME' contains whitespaces",
    );

    expect(await run("-u", "nobody:daemon", "--group-add", "55", "--group-add", "root", "alpine", "id", "-G")).toMatch(
      /^\d+ 55 0$|^\d+ 0 55$/,
    );
    expect(
      (await slipway.run(["run", "--rm", "--group-add", "no-such-group", "alpine", "true"], { exit: 126 })).stderr,
    ).toContain("unable to find group");
    expect(
      await run(
        "--ulimit",
        "nofile=100:200",
        "--ulimit",
        "core=-1",
        "alpine",
        "sh",
        "-c",
        "ulimit -n; ulimit -Hn; ulimit -c",
      ),
    ).toBe("100\n200\nunlimited");
    expect(await refused("--ulimit", "nofile=2:1", "alpine", "true")).toContain("above the hard limit");
    expect(
      await run(
        "--network",
        "none",
        "--sysctl",
        "kernel.msgmax=1234",
        "--sysctl",
        "net.ipv4.ip_default_ttl=33",
        "alpine",
        "cat",
        "/proc/sys/kernel/msgmax",
        "/proc/sys/net/ipv4/ip_default_ttl",
      ),
    ).toBe("1234\n33");
    expect(await refused("--sysctl", "vm.swappiness=1", "alpine", "true")).toContain(
      "sysctl 'vm.swappiness' is not allowed",
    );
    expect(await run("--oom-score-adj", "500", "alpine", "cat", "/proc/self/oom_score_adj")).toBe("500");
    expect(
      await run("--shm-size", "1m", "--tmpfs", "/t:size=2m,mode=700,exec", "--tmpfs", "/u", "alpine", "mount"),
    ).toMatch(
      /\/dev\/shm .*size=1024k(.|\n)*\/t type tmpfs \(rw,nosuid,nodev,relatime,size=2048k,mode=700(.|\n)*\/u type tmpfs \(rw,nosuid,nodev,noexec/,
    );
    expect(await refused("--tmpfs", "/t:bogus", "alpine", "true")).toContain('invalid tmpfs option "bogus"');
    expect(await run("--init", "alpine", "cat", "/proc/1/comm")).toBe("docker-init");
    expect(await run("--domainname", "d.example", "alpine", "cat", "/proc/sys/kernel/domainname")).toBe("d.example");

    const own = (kind: string) => readlinkSync(`/proc/self/ns/${kind}`);
    const links = await run(
      "--pid",
      "host",
      "--ipc",
      "host",
      "--uts",
      "host",
      "--cgroupns",
      "private",
      "alpine",
      "sh",
      "-c",
      "for k in pid ipc uts cgroup; do readlink /proc/self/ns/$k; done",
    );
    const [pid, ipc, uts, cgroup] = links.split("\n");
    expect([pid, ipc, uts, cgroup === own("cgroup")]).toEqual([own("pid"), own("ipc"), own("uts"), false]);
    await slipway.run([
      "run",
      "-d",
      "--name",
      "shared",
      "--ipc",
      "shareable",
      "alpine",
      "sh",
      "-c",
      "echo one > /dev/shm/f; exec sleep 300",
    ]);
    expect(
      await run(
        "--ipc",
        "container:shared",
        "--pid",
        "container:shared",
        "alpine",
        "sh",
        "-c",
        "cat /dev/shm/f; cat /proc/1/comm",
      ),
    ).toBe("one\nsleep");
    await slipway.run(["run", "-d", "--name", "closed", "alpine", "sleep", "300"]);
    expect(await refused("--ipc", "container:closed", "alpine", "true")).toContain("non-shareable IPC");
    expect(await refused("--pid", "container:nobody", "alpine", "true")).toContain("No such container");
    expect(await refused("--userns", "keep-id", "alpine", "true")).toContain("--userns");

    expect(
      await run("--device", "/dev/loop-control:/dev/mine", "alpine", "sh", "-c", "ls -l /dev/mine | cut -c1"),
    ).toBe("c");
    expect(await refused("--device", "/dev/no-such-device", "alpine", "true")).toContain("no such device");
    expect(await run("--privileged", "alpine", "sh", "-c", "ls /dev/loop-control")).toBe("/dev/loop-control");

    const profile = join(slipway.directory, "profile.json");
    writeFileSync(
      profile,
      JSON.stringify({
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [
          { names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 1 },
          {
            names: ["chmod", "fchmodat", "fchmodat2"],
            action: "SCMP_ACT_ERRNO",
            includes: { caps: ["CAP_SYS_ADMIN"] },
          },
        ],
      }),
    );
    expect(
      await run(
        "--security-opt",
        `seccomp=${profile}`,
        "alpine",
        "sh",
        "-c",
        "mkdir /x 2>&1; chmod 777 /tmp && echo changed",
      ),
    ).toMatch(/Operation not permitted\nchanged/);
    writeFileSync(profile, "{");
    expect(await refused("--security-opt", `seccomp=${profile}`, "alpine", "true")).toContain(
      "decoding seccomp profile failed",
    );
    expect(
      await run("--security-opt", "no-new-privileges", "alpine", "grep", "NoNewPrivs", "/proc/self/status"),
    ).toMatch(/1$/);
    if (!existsSync("/sys/module/apparmor"))
      expect(await refused("--security-opt", "apparmor=x", "alpine", "true")).toContain("AppArmor is not enabled");
    expect(await refused("--gpus", "all", "alpine", "true")).toContain("--gpus is not supported");

    const cidfile = join(slipway.directory, "cid");
    const labels = join(slipway.directory, "labels");
    writeFileSync(labels, "a=1\nb\n");
    await slipway
      .run([
        "run",
        "--name",
        "made",
        "--cidfile",
        cidfile,
        "--label-file",
        labels,
        "-l",
        "a=2",
        "--annotation",
        "x.y=z",
        "--stop-signal",
        "HUP",
        "--stop-timeout",
        "3",
        "--runtime",
        "runc",
        "-a",
        "stderr",
        "alpine",
        "sh",
        "-c",
        "echo out; echo err >&2",
      ])
      .then(({ stdout, stderr }) => expect([stdout, stderr]).toEqual(["", "err\n"]));
    const { Config, HostConfig, Id } = (
      JSON.parse(await slipway.text("inspect", "made")) as [Record<string, Record<string, unknown>>]
    )[0];
    expect(readFileSync(cidfile, "utf8")).toBe(String(Id));
    expect(Config).toMatchObject({
      Labels: { a: "2", b: "" },
      StopSignal: "HUP",
      StopTimeout: 3,
      AttachStderr: true,
      AttachStdout: false,
    });
    expect(HostConfig).toMatchObject({ ContainerIDFile: cidfile, Annotations: { "x.y": "z" }, Runtime: "runc" });
    expect(await refused("--cidfile", cidfile, "alpine", "true")).toContain("is there already");
    await limits(slipway, run, refused);
  },
);

async function limits(
  slipway: Slipway,
  run: (...args: string[]) => Promise<string>,
  refused: (...args: string[]) => Promise<string>,
): Promise<void> {
  if (!existsSync("/sys/fs/cgroup/memory")) return; // what is asserted below is version 1's files
  const read = (file: string) =>
    run(
      "--privileged",
      "--memory",
      "64m",
      "--memory-reservation",
      "32m",
      "--cpus",
      "0.5",
      "--cpu-shares",
      "100",
      "--pids-limit",
      "20",
      "--cpuset-cpus",
      "0",
      "alpine",
      "sh",
      "-c",
      `cut -d: -f3 /proc/self/cgroup | grep slipway | head -1`,
    ).then((path) => `/sys/fs/cgroup${file}${path}`);
  expect(await read("")).toMatch(/\/slipway\/[0-9a-f]{64}$/);
  await slipway.run([
    "run",
    "-d",
    "--name",
    "limited",
    "--memory",
    "64m",
    "--cpus",
    "0.5",
    "--cpu-shares",
    "100",
    "--pids-limit",
    "20",
    "--cpuset-cpus",
    "0",
    "alpine",
    "sleep",
    "300",
  ]);
  const id = await slipway.text("inspect", "-f", "{{.Id}}", "limited");
  const value = (controller: string, file: string) =>
    readFileSync(`/sys/fs/cgroup/${controller}/slipway/${id}/${file}`, "utf8").trim();
  const values = () => [
    value("memory", "memory.limit_in_bytes"),
    value("memory", "memory.memsw.limit_in_bytes"),
    value("cpu", "cpu.cfs_quota_us"),
    value("cpu", "cpu.shares"),
    value("pids", "pids.max"),
    value("cpuset", "cpuset.cpus"),
  ];
  expect(values()).toEqual(["67108864", "134217728", "50000", "100", "20", "0"]);
  // What exec starts is under the same limits.
  expect(await slipway.text("exec", "limited", "grep", "-c", id, "/proc/self/cgroup")).toBe("4");
  await slipway.run([
    "update",
    "--memory",
    "256m",
    "--memory-swap",
    "512m",
    "--cpus",
    "1",
    "--pids-limit",
    "30",
    "limited",
  ]);
  expect(values()).toEqual(["268435456", "536870912", "100000", "100", "30", "0"]);
  expect(await slipway.text("inspect", "-f", "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}}", "limited")).toBe(
    "268435456 1000000000",
  );
  expect((await slipway.run(["update", "--memory", "64m", "closed"], { exit: 1 })).stderr).toContain(
    "it was started without such a limit",
  );
  await slipway.run(["rm", "-f", "limited", "closed", "shared"]);

  // As a child of the first process, which stays to tell.
  await slipway.run(
    [
      "run",
      "--name",
      "oom",
      "--memory",
      "16m",
      "--memory-swap",
      "16m",
      "alpine",
      "sh",
      "-c",
      "head -c 60000000 /dev/zero | tail -c 50000000 > /dev/null; exit 0",
    ],
    { exit: "any" },
  );
  expect(await slipway.text("inspect", "-f", "{{.State.OOMKilled}}", "oom")).toBe("true");
  expect(
    (
      await slipway.run(
        ["run", "--rm", "--pids-limit", "2", "alpine", "sh", "-c", "sleep 1 & sleep 1 & sleep 1 & wait"],
        { exit: "any" },
      )
    ).stderr,
  ).toContain("can't fork");
  expect(
    await run(
      "--device",
      "/dev/zero:/dev/none:r",
      "alpine",
      "sh",
      "-c",
      "head -c1 /dev/none | wc -c; echo x > /dev/none || true",
    ),
  ).toContain("1");
  expect(await refused("--memory", "1m", "alpine", "true")).toContain("minimum memory limit allowed is 6MB");
  expect(await refused("--cpus", "900", "alpine", "true")).toContain("range of CPUs");
  expect(await refused("--cpu-rt-runtime", "1000", "alpine", "true")).toContain("--cpu-rt-runtime cannot be applied");
  mkdirSync(slipway.directory, { recursive: true });
  expect(globSync("/sys/fs/cgroup/*/slipway/*/").filter((path) => path.includes(id))).toEqual([]);
}
