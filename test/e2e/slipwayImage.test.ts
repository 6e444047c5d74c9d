import { expect } from "bun:test";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { e2e } from "../support/e2e.ts";
import { repository, slipwayPath } from "../support/withSlipway.ts";

const DOCKERFILE = `FROM busybox
RUN echo made >/made && chown 12:34 /made && chmod 4750 /made
COPY --chmod=600 file /copied
USER 1000
RUN id -u >/tmp/user
`;

e2e(
  "the slipway image, built by slipway, builds the same images in a container without privileges as slipway does outside",
  async (slipway) => {
    const { directory } = slipway;
    const context = join(directory, "program");
    mkdirSync(context);
    copyFileSync(slipwayPath, join(context, "slipway"));
    await slipway.run(["build", "-t", "slipway", "-f", join(repository, "examples/slipway/Dockerfile"), context]);
    const work = join(directory, "work");
    mkdirSync(work);
    writeFileSync(join(work, "Dockerfile"), DOCKERFILE);
    writeFileSync(join(work, "file"), "of the context\n");
    const settings = [
      "-v",
      `${work}:/work`,
      "-v",
      `${slipway.env.SLIPWAY_CONFIG}:/config.json:ro`,
      "-e",
      "SLIPWAY_CONFIG=/config.json",
    ];
    // The host's network for the sake of the registry at the loopback; all else is what every container has.
    const inside = ["--rm", "--network=host", ...settings];
    const build = ["build", "-t", "made", "-o", "type=oci,dest=made.tar", "."];
    const check = [
      "run",
      "--rm",
      "--network=none",
      "-u",
      "0",
      "made",
      "sh",
      "-c",
      "stat -c '%u:%g %a' /made; cat /copied /tmp/user",
    ];
    const expected = "12:34 4750\nof the context\n1000\n";

    await slipway.run(["run", ...inside, "slipway", ...build]);
    await slipway.run(["load", "-i", "work/made.tar"]);
    expect((await slipway.run(check)).stdout).toBe(expected);
    expect(await slipway.text("run", ...inside, "slipway", "info")).toContain(
      "without namespaces: steps run by chroot",
    );

    // Podman's containers are no different.
    if (Bun.which("podman") === null) return;
    await slipway.run(["rmi", "-f", "made"]);
    await slipway.run(["save", "-o", "slipway.tar", "slipway"]);
    const podman = (...args: string[]) => {
      const places = ["--root", join(directory, "podman"), "--runroot", join(directory, "podman-run")];
      const { exitCode, stderr } = Bun.spawnSync(["podman", ...places, ...args], { cwd: directory });
      expect([args[0], exitCode, exitCode === 0 ? "" : stderr.toString()]).toEqual([args[0], 0, ""]);
    };
    try {
      podman("load", "-q", "-i", "slipway.tar");
      podman("run", ...inside, "docker.io/library/slipway:latest", ...build);
    } finally {
      podman("system", "reset", "-f");
    }
    await slipway.run(["load", "-i", "work/made.tar"]);
    expect((await slipway.run(check)).stdout).toBe(expected);
  },
  { debian: true, minutes: 4 },
);
