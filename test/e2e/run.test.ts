import { expect } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { e2e } from "../support/e2e.ts";
import { slipwayPath } from "../support/withSlipway.ts";

e2e(
  "run ends with the process's own exit code, 126 and 127 for what cannot be run, 125 for what is wrong before",
  async (slipway) => {
    await slipway.run(["run", "--rm", "alpine", "true"]);
    await slipway.run(["run", "--rm", "alpine", "sh", "-c", "exit 42"], { exit: 42 });
    await slipway.run(["run", "--rm", "alpine", "/etc/passwd"], { exit: 126 });
    const missing = await slipway.run(["run", "--rm", "alpine", "no-such-program"], { exit: 127 });
    expect(missing.stderr).toContain("no-such-program");
    await slipway.run(["run", "--rm", "--pull=never", "no-such-image"], { exit: 125 });
    expect(await slipway.text("ps", "-aq")).toBe("");
  },
);

e2e(
  "a container that a signal ends gives 128 and the signal's number, to the one who waits and to the records",
  async (slipway) => {
    const waiting = slipway.run(["run", "--name", "killed", "alpine", "sleep", "300"], { exit: 128 + 9 });
    await until(async () => (await slipway.text("ps", "-q")) !== "");
    await slipway.run(["kill", "killed"]);
    await waiting;
    expect(await slipway.text("inspect", "--format", "{{.State.ExitCode}}", "killed")).toBe("137");
  },
);

e2e("standard input and both outputs go through, kept apart", async (slipway) => {
  await slipway.run(["pull", "-q", "alpine"]); // what a pull says would stand on standard error
  const echoed = await slipway.run(["run", "--rm", "-i", "alpine", "sh", "-c", "cat; echo problem >&2"], {
    input: "one\ntwo\n",
  });
  expect(echoed.stdout).toBe("one\ntwo\n");
  expect(echoed.stderr).toBe("problem\n");
  const large = "x".repeat(3_000_000);
  expect((await slipway.run(["run", "--rm", "-i", "alpine", "wc", "-c"], { input: large })).stdout.trim()).toBe(
    "3000000",
  );
});

e2e("-e, -w, -u, --entrypoint, --hostname and --read-only do what they say", async (slipway) => {
  const run = (...args: string[]) => slipway.text("run", "--rm", ...args);
  expect(await run("-e", "A=1 2", "-e", "HOME_OF=x", "alpine", "sh", "-c", 'echo "$A $HOME_OF"')).toBe("1 2 x");
  expect(await run("-w", "/var/log", "alpine", "pwd")).toBe("/var/log");
  expect(await run("-u", "nobody", "alpine", "id", "-un")).toBe("nobody");
  expect(await run("-u", "1000:1001", "alpine", "sh", "-c", "id -u; id -g")).toBe("1000\n1001");
  expect(await run("--entrypoint", "echo", "alpine", "a", "b")).toBe("a b");
  expect((await slipway.run(["run", "--rm", "--read-only", "alpine", "touch", "/x"], { exit: 1 })).stderr).toMatch(
    /read-only/i,
  );
});

e2e(
  "-v mounts folders of the host, read-only where asked, and named volumes that outlive the container",
  async (slipway) => {
    const shared = join(slipway.directory, "shared");
    mkdirSync(shared);
    writeFileSync(join(shared, "greeting"), "from the host\n");
    expect(
      await slipway.text(
        "run",
        "--rm",
        "-v",
        `${shared}:/data`,
        "alpine",
        "sh",
        "-c",
        "cat /data/greeting; echo back > /data/answer",
      ),
    ).toBe("from the host");
    expect(await Bun.file(join(shared, "answer")).text()).toBe("back\n");
    await slipway.run(["run", "--rm", "-v", `${shared}:/data:ro`, "alpine", "touch", "/data/x"], { exit: 1 });

    await slipway.run(["run", "--rm", "-v", "kept:/data", "alpine", "sh", "-c", "echo still here > /data/file"]);
    expect(await slipway.text("run", "--rm", "-v", "kept:/data", "alpine", "cat", "/data/file")).toBe("still here");
  },
);

e2e(
  "containers have Docker's default capabilities, no more; --privileged, --cap-add and --cap-drop change them",
  async (slipway) => {
    const effective = async (...args: string[]) =>
      BigInt(
        `0x${(await slipway.text("run", "--rm", ...args, "alpine", "sed", "-n", "s/^CapEff:\\s*//p", "/proc/self/status")).trim()}`,
      );
    expect(await effective()).toBe(0xa80425fbn);
    expect(await effective("--cap-drop", "ALL")).toBe(0n);
    expect(await effective("--cap-drop", "ALL", "--cap-add", "NET_BIND_SERVICE")).toBe(1n << 10n);
    expect((await effective("--privileged")) & (1n << 21n)).toBe(1n << 21n);
    await slipway
      .run(["run", "--rm", "alpine", "mount", "-t", "tmpfs", "none", "/mnt"], { exit: "any" })
      .then(({ exitCode }) => expect(exitCode).not.toBe(0));
  },
);

e2e(
  "a detached container goes on without the CLI; logs, exec, stop and its exit code are there afterwards",
  async (slipway) => {
    const id = await slipway.text(
      "run",
      "-d",
      "--name",
      "worker",
      "alpine",
      "sh",
      "-c",
      "echo started; trap 'echo stopping; exit 3' TERM; while :; do sleep 0.1; done",
    );
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect(await slipway.text("ps", "--format", "{{.Names}} {{.Status}}")).toMatch(/^worker Up /);
    expect(await slipway.text("exec", "worker", "cat", "/proc/1/comm")).toBe("sh");
    await slipway.run(["exec", "worker", "sh", "-c", "exit 9"], { exit: 9 });
    expect(await slipway.text("stop", "worker")).toBe("worker");
    expect(await slipway.text("logs", "worker")).toBe("started\nstopping");
    expect(await slipway.text("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "worker")).toBe(
      "exited 3",
    );
    expect(await slipway.text("ps", "-a", "--format", "{{.Status}}")).toMatch(/^Exited \(3\) /);
    await slipway.run(["start", "worker"]);
    await slipway.run(["kill", "worker"]);
    expect(await slipway.text("inspect", "--format", "{{.State.ExitCode}}", "worker")).toBe("137");
    expect(await slipway.text("rm", "worker")).toBe("worker");
    expect(await slipway.text("ps", "-aq")).toBe("");
  },
);

e2e("create and start are run in two halves", async (slipway) => {
  await slipway.run(["create", "--name", "later", "alpine", "sh", "-c", "echo now; exit 5"]);
  expect(await slipway.text("ps", "-a", "--format", "{{.Names}} {{.Status}}")).toBe("later Created");
  expect((await slipway.run(["start", "-a", "later"], { exit: 5 })).stdout).toBe("now\n");
});

e2e(
  "after kill -9 of the CLI the container's state is the truth, and a running one can be stopped and removed",
  async (slipway) => {
    const child = Bun.spawn([slipwayPath, "run", "--name", "orphan", "alpine", "sleep", "300"], {
      env: slipway.env,
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
    await until(async () => (await slipway.text("ps", "-q")) !== "");
    child.kill("SIGKILL");
    await child.exited;
    const state = await slipway.text("inspect", "--format", "{{.State.Status}} {{.State.Pid}}", "orphan");
    const [status, pid] = state.split(" ");
    const lives = await Bun.file(`/proc/${pid}/stat`).exists();
    expect(status === "running").toBe(lives && pid !== "0");
    await slipway.run(["rm", "-f", "orphan"]);
    expect(await slipway.text("ps", "-aq")).toBe("");
    await slipway.run(["run", "--rm", "--name", "orphan", "alpine", "true"]);
  },
);

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error("waited 20 s in vain");
    await Bun.sleep(50);
  }
}
