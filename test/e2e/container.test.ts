import { expect } from "bun:test";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { e2e } from "../support/e2e.ts";
import { slipwayPath } from "../support/withSlipway.ts";

/** The store is on the container's own root, an overlay, which takes no whiteouts; the runtime's seccomp filter lets nobody make namespaces, mounts or devices. */
const DOCKERFILE = `FROM alpine AS base
RUN rm /etc/group && rm -r /opt && mkdir /opt && touch /opt/new && chown 405:100 /opt/new && chmod 4711 /opt/new
FROM base
RUN --mount=type=cache,target=/c --mount=type=bind,from=base,source=/opt,target=/b ls /b >/seen && echo warn >/dev/stderr
USER guest
RUN id -u >/tmp/id
`;

e2e(
  "in a container with default settings, slipway builds, runs and exports without a privilege, kaniko's flags included",
  async (slipway) => {
    const inside = join(slipway.directory, "inside");
    mkdirSync(inside);
    writeFileSync(join(inside, "Dockerfile"), DOCKERFILE);
    writeFileSync(
      join(inside, "config.json"),
      JSON.stringify({ registries: { "docker.io": { mirrors: [slipway.hub.url] } } }),
    );
    // The image has no libc: this host's, to which the executable is linked.
    const host = ["/lib", "/lib64", "/usr/lib"].filter(existsSync).flatMap((path) => ["-v", `${path}:${path}:ro`]);
    host.push("-v", `${slipwayPath}:/slipway:ro`);
    const script = `
    /slipway info --format '{{.Isolation.name}} {{.Storage.name}}' &&
    /slipway build --progress=plain -t built . &&
    /slipway run --rm -u 0 built sh -c 'ls /etc/group /opt; cat /seen /tmp/id; stat -c "%u:%g %a" /opt/new' ;
    /slipway kaniko --context=. --no-push --tar-path=image.tar -d built:1 --single-snapshot --verbosity=error`;
    const args = [
      "--rm",
      "--network=host",
      "-v",
      `${inside}:/w`,
      ...host,
      "-w",
      "/w",
      "-e",
      "SLIPWAY_CONFIG=/w/config.json",
    ];
    const { stdout, stderr } = await slipway.run(["run", ...args, "alpine", "sh", "-c", script]);
    expect(stdout).toMatch(/^chroot copy\n/);
    expect(stdout).toEndWith("/opt:\nnew\nnew\n405\n405:100 4711\n");
    expect(stderr).toContain("ls: /etc/group: No such file or directory");
    expect(stderr).toContain("warn");
    await slipway.run(["load", "-q", "-i", join(inside, "image.tar")]);
    expect(
      await slipway.text(
        "run",
        "--rm",
        "--network=host",
        "-u",
        "0",
        "built:1",
        "sh",
        "-c",
        "ls -d /etc/group; ls /opt; cat /seen",
      ),
    ).toBe("new\nnew");
  },
);
