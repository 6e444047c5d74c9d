import { expect } from "bun:test";
import { existsSync } from "node:fs";
import { e2e } from "../../support/e2e.ts";
import { until } from "../../support/until.ts";

e2e(
  "restart policies start a container again without a daemon, until somebody stops it, and after a start of the host",
  async (slipway) => {
    const format = (text: string, name: string) => slipway.text("inspect", "-f", text, name);
    const restarts = async (name: string) => Number(await format("{{.RestartCount}}", name));
    const status = (name: string) => format("{{.State.Status}}", name);
    // A failing one, so many times.
    await slipway.run([
      "run",
      "-d",
      "--name",
      "failing",
      "--restart",
      "on-failure:2",
      "alpine",
      "sh",
      "-c",
      "echo run; exit 4",
    ]);
    await until(async () => (await restarts("failing")) === 2 && (await status("failing")) === "exited");
    expect(await slipway.text("logs", "failing")).toBe("run\nrun\nrun");
    expect(
      await format(
        "{{.State.ExitCode}} {{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}",
        "failing",
      ),
    ).toBe("4 on-failure 2");
    // One that succeeds has nothing to be mended.
    await slipway.run(["run", "-d", "--name", "fine", "--restart", "on-failure", "alpine", "true"]);
    // Always: the same in the foreground, after the death of what was attached, and after kill -9 of the process itself.
    await slipway.run(["run", "-d", "--name", "always", "--restart", "always", "alpine", "sleep", "300"]);
    process.kill(Number(await format("{{.State.Pid}}", "always")), "SIGKILL");
    await until(async () => (await restarts("always")) === 1 && (await status("always")) === "running");
    // A stop ends it, also while it waits to run again; so does a kill by hand.
    await slipway.run(["stop", "-t", "0", "always"]);
    await slipway.run(["run", "-d", "--name", "flapping", "--restart", "unless-stopped", "alpine", "false"]);
    await until(async () =>
      /^Restarting \(1\) /.test(await slipway.text("ps", "-f", "name=flapping", "--format", "{{.Status}}")),
    );
    await slipway.run(["stop", "flapping"]);
    await slipway.run(["run", "-d", "--name", "killed", "--restart", "always", "alpine", "sleep", "300"]);
    await slipway.run(["kill", "killed"]);
    await Bun.sleep(700);
    expect([await status("always"), await status("flapping"), await status("killed"), await status("fine")]).toEqual(
      Array(4).fill("exited"),
    );
    expect(await restarts("fine")).toBe(0);

    // What a start of the host does: `always` in any case, `unless-stopped` and `on-failure` only where nobody had stopped them.
    const started = (await slipway.text("start", "--restart-policy")).split("\n").sort();
    expect(started).toEqual(["always", "killed"]);
    await slipway.run(["update", "--restart", "no", "killed"]);

    // And an end of the host, that is said beforehand: all are ended, at once, and what ran and is wanted runs again.
    await slipway.run(["run", "-d", "--name", "kept", "--restart", "unless-stopped", "alpine", "sleep", "300"]);
    await slipway.run(["run", "-d", "--name", "looping", "--restart", "on-failure", "alpine", "false"]);
    await slipway.run(["run", "-d", "--name", "plain", "--stop-signal", "KILL", "alpine", "sleep", "300"]);
    const ended = (await slipway.text("stop", "-t", "0", "--restart-policy")).split("\n").sort();
    expect(ended).toEqual(["always", "kept", "killed", "looping", "plain"]);
    await Bun.sleep(700);
    expect(await slipway.text("ps", "-q")).toBe("");
    expect((await slipway.text("start", "--restart-policy")).split("\n").sort()).toEqual(["always", "kept", "looping"]);
    expect(await slipway.text("ps", "-q", "-f", "name=plain")).toBe("");
    await slipway.run(["rm", "-f", "always", "killed", "kept", "looping", "plain"]);
    expect(
      (await slipway.run(["run", "--rm", "--restart", "always", "alpine", "true"], { exit: 125 })).stderr,
    ).toContain("cannot specify both --restart and --rm");
    expect((await slipway.run(["run", "--restart", "sometimes", "alpine", "true"], { exit: 125 })).stderr).toContain(
      "unknown policy 'sometimes'",
    );
    expect((await slipway.run(["run", "--restart", "always:3", "alpine", "true"], { exit: 125 })).stderr).toContain(
      "only be used with 'on-failure'",
    );
  },
);

e2e("a health check runs beside the container, and its word is in ps, inspect and events", async (slipway) => {
  const health = async (name: string) =>
    JSON.parse(await slipway.text("inspect", "-f", "{{json .State.Health}}", name)) as {
      Status: string;
      FailingStreak: number;
      Log: { ExitCode: number; Output: string }[];
    };
  await slipway.run([
    "run",
    "-d",
    "--name",
    "web",
    "--health-cmd",
    "echo said; test -e /ok",
    "--health-interval",
    "200ms",
    "--health-retries",
    "2",
    "alpine",
    "sleep",
    "300",
  ]);
  const shown = (name: string) => slipway.text("ps", "-f", `name=${name}`, "--format", "{{.Status}}");
  expect(await shown("web")).toMatch(/\((health: starting|unhealthy)\)$/);
  await until(async () => (await health("web")).Status === "unhealthy");
  expect((await health("web")).Log[0]).toMatchObject({ ExitCode: 1, Output: "said\n" });
  await slipway.run(["exec", "web", "touch", "/ok"]);
  await until(async () => (await shown("web")).endsWith("(healthy)"));
  expect((await health("web")).FailingStreak).toBe(0);
  expect(await slipway.text("ps", "-f", "health=healthy", "--format", "{{.Names}}")).toBe("web");
  expect((await slipway.run(["healthcheck", "run", "web"])).stdout).toBe("said\n");
  const watcher = await Promise.all(
    [...new Bun.Glob("[0-9]*/cmdline").scanSync("/proc")].map(async (path) =>
      (
        await Bun.file(`/proc/${path}`)
          .text()
          .catch(() => "")
      ).includes("slipway-watch")
        ? path.split("/")[0]
        : undefined,
    ),
  );
  expect(watcher.filter(Boolean).length).toBeGreaterThan(0);
  // One that hangs is ended after its time; in the start period failures do not count.
  await slipway.run([
    "run",
    "-d",
    "--name",
    "hangs",
    "--health-cmd",
    "echo begun; sleep 60",
    "--health-timeout",
    "200ms",
    "--health-interval",
    "100ms",
    "--health-retries",
    "1",
    "alpine",
    "sleep",
    "300",
  ]);
  await slipway.run([
    "run",
    "-d",
    "--name",
    "young",
    "--health-cmd",
    "false",
    "--health-interval",
    "10s",
    "--health-start-interval",
    "100ms",
    "--health-start-period",
    "1m",
    "--health-retries",
    "1",
    "alpine",
    "sleep",
    "300",
  ]);
  await until(async () => (await health("hangs")).Status === "unhealthy");
  expect((await health("hangs")).Log[0]?.Output).toMatch(/^Health check exceeded timeout \(0.2s\): begun/);
  expect((await slipway.text("top", "hangs")).split("sleep 60").length).toBeLessThanOrEqual(2); // one more is at work
  await until(async () => (await health("young")).Log.length >= 2);
  expect(await health("young")).toMatchObject({ Status: "starting", FailingStreak: 0 });
  // The image's own, and none at all.
  await Bun.write(`${slipway.directory}/Dockerfile`, "FROM alpine\nHEALTHCHECK --interval=100ms CMD true\n");
  await slipway.run(["build", "-q", "-t", "checked", "."]);
  await slipway.run(["run", "-d", "--name", "own", "checked", "sleep", "300"]);
  await slipway.run(["run", "-d", "--name", "none", "--no-healthcheck", "checked", "sleep", "300"]);
  await until(async () => (await shown("own")).endsWith("(healthy)"));
  expect(await shown("none")).not.toContain("health");
  const pids = await Promise.all(
    ["web", "hangs", "young", "own"].map((name) => slipway.text("inspect", "-f", "{{.Id}}", name)),
  );
  await slipway.run(["rm", "-f", "web", "hangs", "young", "own", "none"]);
  const left = [...new Bun.Glob("[0-9]*/cmdline").scanSync("/proc")].filter((path) => existsSync(`/proc/${path}`));
  const lines = await Promise.all(
    left.map((path) =>
      Bun.file(`/proc/${path}`)
        .text()
        .catch(() => ""),
    ),
  );
  expect(lines.filter((line) => line.includes("slipway-watch") && pids.some((id) => line.includes(id)))).toEqual([]);
  const events = await slipway.text(
    "events",
    "--since",
    "2m",
    "--until",
    "0s",
    "-f",
    "container=web",
    "--format",
    "{{.Action}}",
  );
  expect(events.split("\n").filter((each) => each.startsWith("health_status"))).toEqual([
    "health_status: unhealthy",
    "health_status: healthy",
  ]);
});
