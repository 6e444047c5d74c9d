import { expect } from "bun:test";
import { e2e } from "../../support/e2e.ts";
import { until } from "../../support/until.ts";
import { slipwayPath } from "../../support/withSlipway.ts";

e2e(
  "pause, rename, update, top, stats, exec, attach, ps and events show and change a container's life as docker does",
  async (slipway) => {
    const events = Bun.spawn([slipwayPath, "events", "--format", "{{.Type}} {{.Action}} {{.Actor.Attributes.name}}"], {
      env: slipway.env,
      stdout: "pipe",
      stderr: "ignore",
    });
    await slipway.run([
      "run",
      "-d",
      "--name",
      "web",
      "-l",
      "app=web",
      "-e",
      "A=1",
      "alpine",
      "sh",
      "-c",
      "i=0; while :; do i=$((i+1)); echo $i > /count; sleep 0.01; done",
    ]);
    const count = async () => (await slipway.run(["cp", "web:/count", "-"])).stdout.slice(512).replaceAll("\0", "");
    await slipway.run(["pause", "web"]);
    expect(await slipway.text("ps", "--format", "{{.Names}} {{.Status}} {{.State}}")).toMatch(
      /^web Up .* \(Paused\) paused$/,
    );
    const [before] = [await count()];
    await Bun.sleep(100);
    expect(await count()).toBe(before);
    expect((await slipway.run(["exec", "web", "true"], { exit: 1 })).stderr).toContain("is paused");
    expect((await slipway.run(["pause", "web"], { exit: 1 })).stderr).toContain("already paused");
    expect(await slipway.text("unpause", "web")).toBe("web");
    await until(async () => (await count()) !== before);
    await slipway.run(["pause", "web"]);
    await slipway.run(["stop", "-t", "0", "web"]);
    expect(await slipway.text("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}} {{.State.Paused}}", "web")).toBe(
      "exited 137 false",
    );
    await slipway.run(["start", "web"]);

    await slipway.run(["rename", "web", "site"]);
    expect((await slipway.run(["inspect", "web"], { exit: 1 })).stderr).toContain("no such");
    await slipway.run(["create", "--name", "other", "alpine", "sh"]);
    expect((await slipway.run(["rename", "site", "other"], { exit: 1 })).stderr).toContain("already in use");

    expect(await slipway.text("top", "site", "-o", "pid,args")).toMatch(/^PID +COMMAND\n\d+ +sh -c i=0/);
    expect(
      await slipway.text("stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}} {{.CPUPerc}} {{.MemUsage}}", "site"),
    ).toMatch(/^site \d+ \d+\.\d\d% [\d.]+KiB|MiB \/ /);
    expect(await slipway.text("stats", "--no-stream")).toMatch(
      /^CONTAINER ID +NAME +CPU % +MEM USAGE \/ LIMIT +MEM % +NET I\/O +BLOCK I\/O +PIDS\n/,
    );

    const exec = (...args: string[]) => slipway.text("exec", ...args);
    expect(
      await exec("-e", "B=2", "-w", "/tmp", "-u", "nobody", "site", "sh", "-c", 'echo "$A$B $(pwd) $(id -un)"'),
    ).toBe("12 /tmp nobody");
    expect((await slipway.run(["exec", "-i", "site", "cat"], { input: "through" })).stdout).toBe("through");
    await exec("-d", "site", "sh", "-c", "echo done > /detached");
    await until(
      async () => (await slipway.run(["exec", "site", "cat", "/detached"], { exit: "any" })).stdout === "done\n",
    );
    expect(
      Number.parseInt(await exec("--privileged", "site", "sh", "-c", "grep CapEff /proc/self/status | cut -f2"), 16),
    ).toBeGreaterThan(Number.parseInt(await exec("site", "sh", "-c", "grep CapEff /proc/self/status | cut -f2"), 16));
    await slipway.run(["exec", "site", "no-such-program"], { exit: 127 });

    await slipway.run(["run", "-dit", "--name", "tty", "--detach-keys", "ctrl-a,d", "alpine", "sh"]);
    await slipway.terminal(["attach", "tty"], async (session) => {
      session.type("echo a$((1+1))b\r");
      await session.waitFor(/a2b/);
      session.type("\x01d");
      expect(await session.exited).toBe(0);
    });
    expect(await slipway.text("ps", "-q", "-f", "name=^tty$")).not.toBe("");
    await slipway.terminal(["exec", "-it", "tty", "sh"], async (session) => {
      session.resize(101, 31);
      session.type("tty; sleep 0.2; stty size; exit 7\r");
      await session.waitFor(/\/dev\/(pts|console)/);
      await session.waitFor(/31 101/);
      expect(await session.exited).toBe(7);
    });
    // Left alone it goes on, however much it prints.
    await slipway.terminal(["exec", "-it", "--detach-keys", "ctrl-x", "tty", "sh"], async (session) => {
      session.type("trap '' HUP; echo r$((40+2))y; (yes | head -n 100000; echo done > /told; sleep 300)\r");
      await session.waitFor(/r42y/);
      session.type("\x18");
      expect(await session.exited).toBe(0);
    });
    await until(async () => (await exec("tty", "cat", "/told").catch(() => "")) === "done");
    expect(await slipway.text("exec", "-t", "tty", "tty")).toMatch(/^\/dev\/pts\/\d+$/);
    expect((await slipway.run(["exec", "-it", "tty", "true"], { exit: 1 })).stderr).toContain("is not a TTY");

    const names = async (...args: string[]) =>
      (await slipway.text("ps", "--format", "{{.Names}}", ...args)).split("\n").filter(Boolean).sort().join(" ");
    expect(await names()).toBe("site tty");
    expect(await names("-a")).toBe("other site tty");
    expect(await names("-l")).toBe("tty");
    expect(await names("-n", "2")).toBe("other tty");
    for (const [filter, found] of [
      ["label=app", "site"],
      ["label=app=web", "site"],
      ["status=created", "other"],
      ["name=^si", "site"],
      ["ancestor=alpine", "site tty"],
      ["before=tty", "site"],
      ["since=site", "tty"],
      ["health=none", "site tty"],
      ["publish=8080", ""],
      ["expose=1-65535/udp", ""],
      ["isolation=default", "site tty"],
      ["network=none", ""],
      ["exited=0", ""],
    ] as const)
      expect([filter, await names("-f", filter)]).toEqual([filter, found]);
    expect((await slipway.run(["ps", "-f", "colour=red"], { exit: 1 })).stderr).toContain("invalid filter 'colour'");
    expect(await slipway.text("ps", "-f", "name=site", "--format", 'table {{.Names}}\t{{.Label "app"}}')).toBe(
      "NAMES     app\nsite      web",
    );
    expect(JSON.parse(await slipway.text("ps", "-f", "name=site", "--format", "json"))).toMatchObject({
      Names: "site",
      State: "running",
      Labels: "app=web",
      LocalVolumes: "0",
    });
    await exec("site", "sh", "-c", "head -c 5000 /dev/zero > /large");
    expect(await slipway.text("ps", "-s", "-f", "name=site", "--format", "{{.Size}}")).toMatch(
      /^5(\.\d+)?kB \(virtual /,
    );
    expect(
      Number(await slipway.text("container", "inspect", "-s", "-f", "{{.SizeRw}}", "site")),
    ).toBeGreaterThanOrEqual(5000);
    expect(await slipway.text("container", "ls", "-q", "--no-trunc", "-f", "name=site")).toBe(
      await slipway.text("inspect", "-f", "{{.Id}}", "site"),
    );

    await slipway.run(["kill", "-s", "KILL", "site"]);
    expect(await slipway.text("wait", "site")).toBe("137");
    await slipway.run(["container", "rm", "-f", "site", "tty", "other"]);
    const log = (
      await slipway.text(
        "events",
        "--since",
        "2m",
        "--until",
        "0s",
        "--filter",
        "container=site",
        "--format",
        "{{.Action}}",
      )
    ).split("\n");
    expect(log.filter((each) => !each.startsWith("exec_") && each !== "archive-path")).toEqual([
      "rename",
      "kill",
      "die",
      "destroy",
    ]);
    await Bun.sleep(300);
    events.kill("SIGINT");
    const live = (await new Response(events.stdout).text()).trim().split("\n");
    const ofWeb = live.filter((each) => / web$/.test(each) && !each.includes("archive-path"));
    const actions = "create start pause unpause pause kill kill die stop start".split(" ");
    expect(ofWeb).toEqual(actions.map((each) => `container ${each} web`));
    expect(live).toContain("container destroy tty");
  },
);

e2e(
  "logs keep to their size and their number of files, and are shown whole, in part, with times and details",
  async (slipway) => {
    await slipway.run([
      "run",
      "-d",
      "--name",
      "chatty",
      "-l",
      "team=blue",
      "-e",
      "STAGE=test",
      "--log-opt",
      "max-size=4k",
      "--log-opt",
      "max-file=3",
      "--log-opt",
      "labels=team",
      "--log-opt",
      "env=STAGE",
      "alpine",
      "sh",
      "-c",
      "for i in $(seq 1 150); do echo line $i; done; sleep 1.3; for i in $(seq 151 200); do echo line $i; done; sleep 300",
    ]);
    const id = await slipway.text("inspect", "-f", "{{.Id}}", "chatty");
    await until(async () => (await slipway.text("logs", "--tail", "1", "chatty")) === "line 200");
    const files = [...new Bun.Glob("container.log*").scanSync(`${slipway.root}/containers/${id}`)].sort();
    expect(files.slice(0, 2)).toEqual(["container.log", "container.log.1"]);
    expect((await slipway.text("logs", "chatty")).split("\n").slice(-200)).toEqual(
      Array.from({ length: 200 }, (_, i) => `line ${i + 1}`),
    );
    expect((await slipway.text("logs", "--tail", "60", "chatty")).split("\n")[0]).toBe("line 141");
    expect(await slipway.text("logs", "--details", "-t", "--tail", "1", "chatty")).toMatch(
      /^\d{4}-\d\d-\d\dT[\d:.]+Z STAGE=test,team=blue line 200$/,
    );
    const follow = Bun.spawn([slipwayPath, "logs", "-f", "--tail", "1", "chatty"], {
      env: slipway.env,
      stdout: "pipe",
      stderr: "ignore",
    });
    let shown = "";
    const read = (async () => {
      for await (const chunk of follow.stdout) shown += new TextDecoder().decode(chunk);
    })();
    await until(() => shown === "line 200\n");
    await slipway.run(["exec", "chatty", "sh", "-c", "for i in $(seq 1 200); do echo more $i; done > /proc/1/fd/1"]);
    await Bun.sleep(1500);
    await slipway.run(["exec", "chatty", "sh", "-c", "echo the end > /proc/1/fd/1"]);
    await Bun.sleep(300);
    await slipway.run(["stop", "-t", "0", "chatty"]);
    await read;
    const followed = shown.trim().split("\n");
    expect([followed[0], followed.length, followed.at(-1)]).toEqual(["line 200", 202, "the end"]);

    await slipway.run([
      "run",
      "--name",
      "small",
      "--log-opt",
      "max-size=2k",
      "alpine",
      "sh",
      "-c",
      "for i in $(seq 1 100); do echo line $i; done",
    ]);
    expect((await slipway.text("logs", "small")).split("\n").at(-1)).toBe("line 100");
    expect((await slipway.text("logs", "small")).length).toBeLessThan(2000);
    expect((await slipway.run(["run", "--rm", "--log-driver", "none", "alpine", "echo", "shown"])).stdout).toBe(
      "shown\n",
    );
    expect((await slipway.run(["run", "--log-driver", "syslog", "alpine", "true"], { exit: 125 })).stderr).toContain(
      "no log driver named 'syslog'",
    );
    expect((await slipway.run(["run", "--log-opt", "max-size=x", "alpine", "true"], { exit: 125 })).stderr).toContain(
      "invalid log opt",
    );
  },
);
