import { expect } from "bun:test";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { e2e } from "../../support/e2e.ts";

e2e(
  "--mount, -v, --volumes-from and VOLUME give what docker gives, and volumes live as long as docker's",
  async (slipway) => {
    const run = (...args: string[]) => slipway.text("run", "--rm", ...args);
    const refused = async (...args: string[]) => (await slipway.run(["run", "--rm", ...args], { exit: 125 })).stderr;
    writeFileSync(
      join(slipway.directory, "Dockerfile"),
      "FROM alpine\nRUN mkdir /data && echo first > /data/f && chown -R 12:34 /data && chmod 750 /data\nVOLUME /data /empty\n",
    );
    await slipway.run(["build", "-q", "-t", "app", "."]);
    const host = join(slipway.directory, "host");
    mkdirSync(host);
    writeFileSync(join(host, "file"), "of the host\n");

    // A volume of the image's: its content, owner and mode; gone with --rm, kept without, and then removed by rm -v.
    expect(await run("app", "stat", "-c", "%u:%g %a", "/data", "/data/f")).toBe("12:34 750\n12:34 644");
    expect(await slipway.text("volume", "ls", "-q")).toBe("");
    await slipway.run(["run", "--name", "first", "app", "sh", "-c", "echo changed > /data/f; echo x > /empty/x"]);
    expect((await slipway.text("volume", "ls", "-q")).split("\n")).toHaveLength(2);
    expect(await run("--volumes-from", "first", "alpine", "cat", "/data/f", "/empty/x")).toBe("changed\nx");
    expect(
      (await slipway.run(["run", "--rm", "--volumes-from", "first:ro", "alpine", "touch", "/data/f"], { exit: 1 }))
        .stderr,
    ).toMatch(/read-only/i);
    await slipway.run(["create", "--name", "second", "--volumes-from", "first", "alpine", "true"]);
    await slipway.run(["rm", "-v", "first"]);
    expect((await slipway.text("volume", "ls", "-q")).split("\n")).toHaveLength(2); // the second one uses them
    await slipway.run(["rm", "second"]);
    await slipway.run(["volume", "rm", ...(await slipway.text("volume", "ls", "-q")).split("\n")]);

    // Named volumes.
    expect(await slipway.text("volume", "create", "--label", "a=b", "named")).toBe("named");
    expect(await slipway.text("volume", "inspect", "-f", "{{.Name}} {{.Driver}} {{.Labels.a}}", "named")).toBe(
      "named local b",
    );
    expect(await run("--mount", "type=volume,src=named,dst=/data", "app", "cat", "/data/f")).toBe("first");
    expect(await run("--mount", "src=fresh,dst=/data,volume-nocopy", "app", "ls", "/data")).toBe("");
    await run("-v", "named:/v", "alpine", "sh", "-c", "mkdir /v/sub; echo deep > /v/sub/f; ln -s /etc /v/out");
    expect(
      await run(
        "--mount",
        "src=named,dst=/s,volume-subpath=sub,ro",
        "alpine",
        "sh",
        "-c",
        "cat /s/f; touch /s/x 2>&1 || true",
      ),
    ).toMatch(/^deep\n.*Read-only/);
    expect(await run("--mount", "src=named,dst=/s,volume-subpath=sub/f", "alpine", "cat", "/s")).toBe("deep");
    expect(await refused("--mount", "src=named,dst=/s,volume-subpath=out/nothing", "alpine", "true")).toContain(
      "cannot access path",
    );
    await slipway.run(["create", "--name", "user", "-v", "named:/v", "alpine", "true"]);
    expect((await slipway.run(["volume", "rm", "named"], { exit: 1 })).stderr).toContain("volume is in use");
    expect(await slipway.text("volume", "ls", "-q", "-f", "dangling=true")).toBe("fresh");
    expect(await slipway.text("volume", "ls", "-q", "-f", "label=a=b")).toBe("named");
    expect(await slipway.text("ps", "-aq", "--no-trunc", "-f", "volume=named")).toBe(
      await slipway.text("inspect", "-f", "{{.Id}}", "user"),
    );
    await slipway.run(["rm", "user"]);
    expect(await slipway.text("volume", "rm", "named", "fresh")).toBe("named\nfresh");
    expect((await slipway.run(["volume", "inspect", "named"], { exit: 1 })).stderr).toContain("no such volume");

    // Host directories.
    expect(
      await run(
        "--mount",
        `type=bind,src=${host},dst=/h,readonly`,
        "alpine",
        "sh",
        "-c",
        "cat /h/file; touch /h/x 2>&1 || true",
      ),
    ).toMatch(/^of the host\n.*Read-only/);
    expect(await refused("--mount", `type=bind,src=${host}/missing,dst=/h`, "alpine", "true")).toContain(
      "bind source path does not exist",
    );
    await run("-v", `${host}/made:/h`, "alpine", "true");
    expect(existsSync(join(host, "made"))).toBe(true);
    expect(await run("-v", `${host}/file:/etc/one-file:ro`, "alpine", "cat", "/etc/one-file")).toBe("of the host");
    expect(await refused("-v", `${host}:/h:rshared`, "alpine", "true")).toContain("propagation");
    expect(await refused("-v", `${host}:/h`, "--mount", "type=tmpfs,dst=/h/", "alpine", "true")).toContain(
      "duplicate mount point: /h",
    );

    // Memory and images.
    expect(
      await run(
        "--mount",
        "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1770",
        "alpine",
        "sh",
        "-c",
        "stat -c %a /t; mount | grep -o 'size=1024k'",
      ),
    ).toBe("1770\nsize=1024k");
    expect(
      await run("--mount", "type=image,src=app,dst=/i", "alpine", "sh", "-c", "cat /i/data/f; touch /i/x 2>&1 || true"),
    ).toMatch(/^first\n.*Read-only/);
    expect(await run("--mount", "type=image,src=app,dst=/i,image-subpath=data", "alpine", "cat", "/i/f")).toBe("first");
    for (const [wrong, said] of [
      ["dst=/x,type=bind", "source is required"],
      ["src=a", "target is required"],
      ["dst=/x,type=nfs", "unknown mount type nfs"],
      ["dst=/x,type=tmpfs,volume-nocopy", "cannot mix 'volume-nocopy'"],
      ["dst=/x,colour=red", "unexpected key 'colour'"],
      ["dst=/x,src=v,volume-subpath=../y", "stays inside"],
      ["dst=/", "cannot be its root"],
    ] as const)
      expect(await refused("--mount", wrong, "alpine", "true")).toContain(said);
    expect(await slipway.text("volume", "ls", "-q")).toBe("");
  },
);
