import { expect } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { e2e } from "../../support/e2e.ts";
import { writeFiles } from "../../support/files.ts";
import { type Slipway, slipwayPath } from "../../support/withSlipway.ts";
import { build, inspect, printed, refused } from "./runSupport.ts";

async function sh(slipway: Slipway, script: string, env: Record<string, string> = {}): Promise<string> {
  const child = Bun.spawn(["sh", "-ec", script], {
    cwd: slipway.directory,
    env: { ...slipway.env, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, complaint] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  if ((await child.exited) !== 0) throw new Error(`${script}: ${complaint}`);
  return out.trim();
}

/** An image `client` with this machine's ssh-add. */
async function putClient(slipway: Slipway): Promise<void> {
  const copied = await sh(
    slipway,
    "mkdir -p root/usr/bin; for f in $(command -v ssh-add) $(ldd $(command -v ssh-add) | grep -o '/[^ ]*'); do mkdir -p root$(dirname $f); cp -L $f root$f; done; ls root",
  );
  expect(copied).toContain("usr");
  writeFiles(slipway.directory, { Dockerfile: "FROM alpine\nCOPY root /\n", ".dockerignore": "key*\n" });
  await slipway.run(["build", "-t", "client", "."]);
}

e2e("ssh agents and keys are forwarded to the steps that ask, for signing and nothing else", async (slipway) => {
  await putClient(slipway);
  await sh(
    slipway,
    "ssh-keygen -q -t ed25519 -N '' -C first -f key1; ssh-keygen -q -t rsa -b 2048 -N '' -C second -f key2; ssh-keygen -q -t ed25519 -N secret -f key3",
  );
  chmodSync(join(slipway.directory, "key2"), 0o644);
  const dockerfile = `FROM client
RUN --mount=type=ssh ssh-add -l | awk '{print $3, $4}'; echo $SSH_AUTH_SOCK; stat -c '%a %u:%g %F' $SSH_AUTH_SOCK; ssh-add -D 2>&1 || true
RUN --mount=type=ssh,id=none --mount=type=ssh,id=two,target=/tmp/deep/agent,mode=0620,uid=5,gid=6 --mount=type=ssh,id=default \\
    echo $SSH_AUTH_SOCK; ls /run/buildkit; stat -c '%a %u:%g' /tmp/deep/agent; SSH_AUTH_SOCK=/tmp/deep/agent ssh-add -l | wc -l
USER 1000
RUN --mount=type=ssh,uid=1000 ssh-add -l | wc -l
RUN --mount=type=ssh ssh-add -l 2>&1 | grep -o 'Permission denied'
RUN ls /run; echo "[$SSH_AUTH_SOCK]"
`;
  const expected = [
    ...["first (ED25519)", "/run/buildkit/ssh_agent.0", "600 0:0 socket", "Failed to remove all identities."],
    ...["/run/buildkit/ssh_agent.0", "ssh_agent.2", "620 5:6", "2"],
    ...["1", "Permission denied", "[]"],
  ];
  const keys = ["--ssh", "default=key1", "--ssh", "two=key1,key2"];
  expect(printed(await build(slipway, dockerfile, keys))).toEqual(expected);
  expect((await build(slipway, dockerfile, keys)).stderr.match(/CACHED/g)).toHaveLength(6);
  const { layers } = await inspect(slipway);
  expect(layers.slice(2).flat().join("\n")).not.toMatch(/agent|buildkit/);
  // The same from an agent of one's own, whose path is in the environment.
  const socket = join(mkdtempSync(join(tmpdir(), "slipway-agent-")), "s");
  const agent = Bun.spawn(["ssh-agent", "-D", "-a", socket], { stdout: "ignore" });
  try {
    while (!existsSync(socket)) await Bun.sleep(5);
    await sh(slipway, "ssh-add -q key1", { SSH_AUTH_SOCK: socket });
    const own = await build(slipway, dockerfile, ["--no-cache", "--ssh", "default", "--ssh", "two=key2,key1"], {
      env: { SSH_AUTH_SOCK: socket },
    });
    expect(printed(own)).toEqual(expected);
    expect(await sh(slipway, "ssh-add -l", { SSH_AUTH_SOCK: socket })).toContain("first");
  } finally {
    agent.kill();
    rmSync(join(socket, ".."), { recursive: true });
  }
  const asking = "FROM client\nRUN --mount=type=ssh,required true\n";
  expect(await refused(slipway, asking)).toContain("--ssh default");
  expect(await refused(slipway, asking, "--ssh", "default")).toContain("SSH_AUTH_SOCK");
  expect(await refused(slipway, asking, "--ssh", "default=nowhere")).toContain("nowhere");
  expect(await refused(slipway, asking, "--ssh", "default=key3")).toMatch(/key3.*not taken/);
});

e2e(
  "nothing stays mounted, and no process alive, when a step with mounts succeeds, fails or is killed",
  async (slipway) => {
    writeFiles(slipway.directory, { token: "t", ".dockerignore": "token\n" });
    await sh(slipway, "ssh-keygen -q -t ed25519 -N '' -f key");
    const dockerfile = (command: string) => `FROM alpine
RUN --mount=type=secret,id=token --mount=type=cache,target=/c --mount=type=cache,target=/l,sharing=locked --mount=type=tmpfs,target=/t \\
    --mount=target=/ctx,rw --mount=from=busybox,target=/b,rw --mount=type=ssh ${command}
`;
    const args = ["--secret", "id=token,src=token", "--ssh", "default=key"];
    const leftMounts = () =>
      readFileSync("/proc/self/mountinfo", "utf8")
        .split("\n")
        .filter((line) => line.includes(slipway.root));
    const marker = "987123";
    const running = (): string[] =>
      readdirSync("/proc").filter((pid) => {
        if (!/^\d+$/.test(pid)) return false;
        try {
          const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
          return (
            command.includes(marker) ||
            (command.includes("agent.sock") && readFileSync(`/proc/${pid}/environ`, "utf8").includes(slipway.root))
          );
        } catch {
          return false; // ended just now
        }
      });
    await build(slipway, dockerfile("touch /c/ok"), args);
    expect([leftMounts(), running()]).toEqual([[], []]);
    await build(slipway, dockerfile("false"), args, { exit: 1 });
    expect([leftMounts(), running()]).toEqual([[], []]);

    for (const signal of ["SIGINT", "SIGKILL"] as const) {
      writeFiles(slipway.directory, { Dockerfile: dockerfile(`touch /c/started && sleep ${marker}`) });
      const child = Bun.spawn([slipwayPath, "build", "--progress", "plain", ...args, "."], {
        cwd: slipway.directory,
        env: slipway.env,
        stdin: "ignore",
        stdout: "ignore",
        stderr: "ignore",
      });
      while (!running().some((pid) => /^sleep/.test(commandOf(pid)))) await Bun.sleep(10);
      child.kill(signal);
      expect(await child.exited).not.toBe(0);
      // The next command takes away what a killed one had at work.
      expect(printed(await build(slipway, dockerfile(`ls /c | xargs; : ${signal}`), args))).toEqual(["ok started"]);
      const end = Date.now() + 5_000;
      while (running().length > 0 && Date.now() < end) await Bun.sleep(50);
      expect([leftMounts(), running().map(commandOf)]).toEqual([[], []]);
      expect(readdirSync(join(slipway.root, "tmp"))).toEqual([]);
    }
  },
);

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    return "";
  }
}
