import { expect } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { e2e } from "../../support/e2e.ts";
import { until } from "../../support/until.ts";

e2e(
  "an image that lays traps gets a clear error or the safe thing, soon, and never a file of the host",
  async (slipway) => {
    await slipway.run(["pull", "-q", "alpine"]);
    const context = join(slipway.directory, "context");
    mkdirSync(context);
    const image = async (name: string, dockerfile: string) => {
      writeFileSync(join(context, "Dockerfile"), `FROM alpine\n${dockerfile}\n`);
      await slipway.run(["build", "-q", "-t", name, context]);
      return name;
    };
    const began = Date.now();
    const run = (args: string[], exit: number | "any" = 0) => slipway.run(["run", "--rm", ...args], { exit });
    const bait = join(slipway.directory, "bait");
    writeFileSync(bait, "root:x:0:0::/:/bin/sh\nhostuser:x:4242:4242::/:/bin/sh\n");

    // /etc/passwd that leads out, is no file, or is larger than any.
    await image("linked", `RUN ln -sf ${bait} /etc/passwd`);
    expect((await run(["-u", "hostuser", "linked", "id"], 126)).stderr).toContain("unable to find user hostuser");
    expect((await run(["-u", "7", "linked", "id", "-u"])).stdout).toBe("7\n");
    await image("fifo", "RUN rm /etc/passwd /etc/group && mkfifo /etc/passwd /etc/group");
    expect((await run(["-u", "nobody", "fifo", "true"], 126)).stderr).toContain(
      "/etc/passwd of the image is no regular file of at most 8 MiB",
    );
    await image("device", "RUN rm /etc/passwd && ln -s /dev/zero /etc/passwd");
    await run(["-u", "nobody", "device", "true"], 126);
    await image("huge", "RUN truncate -s 1G /etc/passwd");
    expect((await run(["-u", "nobody", "huge", "true"], 126)).stderr).toContain("no regular file of at most 8 MiB");
    await image("loop", "RUN ln -sf passwd /etc/passwd; ln -sf /etc/group /etc/group; true");
    expect((await run(["-u", "nobody", "loop", "true"], 126)).stderr).toContain(
      "/etc/passwd of the image cannot be read",
    );
    await image(
      "broken",
      "RUN printf '::::\\n:x:0\\nnobody:x:notanumber:1::/:\\nx:x:99999999999:1::/:\\n\\0\\377\\n' > /etc/passwd",
    );
    for (const user of [
      "nobody",
      "x",
      "-1",
      "4294967296",
      "0x10",
      "a b",
      "root:",
      ":",
      "../../etc",
      "$(id)",
      "a:b:c",
      "\u00fc",
    ]) {
      const { exitCode, stdout } = await run(["-u", user, "broken", "id", "-u"], "any");
      expect([user, exitCode, stdout.trim()]).toEqual(
        user === "root:" || user === ":" ? [user, exitCode, exitCode === 0 ? "0" : ""] : [user, 126, ""],
      );
    }

    const before = statSync(bait).size;
    // A working directory and volumes through links that lead out.
    await image(
      "workdir",
      `RUN ln -s ${slipway.directory}/made /w && ln -s ../../../../../../../../tmp /up\nWORKDIR /w/deep`,
    );
    expect((await run(["workdir", "pwd"], "any")).exitCode).toBeLessThan(128);
    expect(existsSync(join(slipway.directory, "made"))).toBe(false);
    await image(
      "volumes",
      `RUN ln -s ${slipway.directory} /out && mkdir /real && ln -s /real /in\nVOLUME /out/planted /in /../../climb`,
    );
    expect((await run(["volumes", "sh", "-c", "touch /out/planted/x /in/x /climb/x; ls /real"], "any")).stdout).toBe(
      "x\n",
    );
    expect(readdirSync(slipway.directory).sort()).toEqual(["bait", "context"]);
    const etc = join(context, "etc");
    mkdirSync(etc);
    symlinkSync(bait, join(etc, "hosts"));
    symlinkSync(bait, join(etc, "resolv.conf"));
    Bun.spawnSync(["tar", "-cf", "etc.tar", "etc"], { cwd: context });
    await image("targets", `ADD etc.tar /\nRUN ln -s ${slipway.directory} /out`);
    await run(
      [
        "-v",
        "vol:/out/deep/er",
        "--tmpfs",
        "/out/tmpfs",
        "targets",
        "sh",
        "-c",
        "echo x >> /etc/hosts; touch /out/deep/er/x",
      ],
      "any",
    );
    expect(readdirSync(slipway.directory).sort()).toEqual(["bait", "context"]);
    expect(readFileSync(bait, "utf8")).not.toContain("x\nx");
    expect(statSync(bait).size).toBe(before);

    // Devices of the host in a layer cannot be opened; nor can those that the container makes.
    const layer = join(context, "layer");
    mkdirSync(layer);
    const { exitCode } = Bun.spawnSync(["mknod", join(layer, "disk"), "b", "7", "0"]);
    if (exitCode === 0) {
      Bun.spawnSync(["tar", "-cf", "layer.tar", "-C", layer, "disk"], { cwd: context });
      await image("devices", "ADD layer.tar /planted/\nRUN if head -c1 /planted/disk; then exit 1; else true; fi");
      expect(
        (await run(["devices", "sh", "-c", "ls -l /planted | grep -c '^b'; head -c1 /planted/disk"], "any")).stderr,
      ).toMatch(/Permission denied|Operation not permitted/);
    }

    // What a container does to its files while it runs is asked for by exec, cp, diff and commit.
    const trap = "rm -f /etc/passwd; mkfifo /etc/passwd /pipe; ln -s / /up; touch /ready; exec sleep 300";
    await slipway.run(["run", "-d", "--name", "trap", "--network", "host", "alpine", "sh", "-c", trap]);
    await until(async () => (await slipway.text("diff", "trap")).includes("A /ready"));
    for (const user of [[], ["-u", "nobody"]])
      expect((await slipway.run(["exec", ...user, "trap", "true"], { exit: 126 })).stderr).toContain("no regular file");
    for (const name of ["pipe", "up"]) await slipway.run(["cp", `trap:/${name}`, join(slipway.directory, name)]);
    expect([lstatSync(join(slipway.directory, "pipe")).isFIFO(), readlinkSync(join(slipway.directory, "up"))]).toEqual([
      true,
      "/",
    ]);
    await slipway.run(["commit", "trap", "trapped"]);
    await slipway.run(["rm", "-f", "trap"]);

    // Environments and command lines larger than the kernel takes.
    const large = `A=${"x".repeat(200_000)}`;
    const tooLarge = await run(["--env-file", await written(slipway.directory, large), "alpine", "true"], "any");
    expect([tooLarge.exitCode > 0, /too long/i.test(tooLarge.stderr)]).toEqual([true, true]);
    const many = Array.from({ length: 20_000 }, (_, i) => `N${i}=${i}`).join("\n");
    expect(
      (await run(["--env-file", await written(slipway.directory, many), "alpine", "sh", "-c", "echo $N19999"])).stdout,
    ).toBe("19999\n");
    expect(Date.now() - began).toBeLessThan(120_000);
    expect(await slipway.text("ps", "-aq")).toBe("");

    async function written(directory: string, text: string): Promise<string> {
      writeFileSync(join(directory, "env"), text);
      return join(directory, "env");
    }
  },
  { minutes: 3 },
);
