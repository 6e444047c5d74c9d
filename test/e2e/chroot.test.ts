import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createLinux } from "../../src/linux/createLinux.ts";
import { rungs } from "../support/rungs.ts";
import { treeFingerprint } from "../support/treeFingerprint.ts";
import { type Slipway, withSlipway } from "../support/withSlipway.ts";

const SECRET = "a-secret-that-no-file-keeps";

/** What a step may try. Everything of it fails, or does what it does to its own root alone. */
const HOSTILE = `
FROM alpine AS tried
RUN --mount=type=secret,id=s --mount=type=secret,id=e,env=E grep -q secret /run/secrets/s && test -n "$E" && \\
  { chroot / true; mount -t tmpfs none /mnt; unshare -r true; mknod /disk b 8 0; cat /proc/1/environ /proc/*/environ; \\
  echo 1 >/proc/sys/kernel/panic; ls -d "$STORE"; ls -l /proc/*/root; } >/tried 2>&1; (setsid sleep 987.654 &) ; true
ARG STORE
RUN ls -d $STORE /../../../..$STORE >/seen 2>&1; env >>/seen; id >>/seen; grep -E 'Cap(Eff|Bnd)' /proc/self/status >>/seen; true

FROM alpine AS links
ARG STORE
RUN mv /etc /own && ln -s /../../../../../../../../../own /etc && ln -s $STORE /store && rm -rf /home && ln -s / /home
RUN --mount=type=bind,source=given,target=/home/etc/passwd --mount=type=tmpfs,target=/store/x echo >/home/mine

FROM alpine
RUN rm -rf /* 2>/dev/null; true
COPY --from=tried /tried /seen /
COPY --from=links / /links/
`;

rung(
  "a step can neither see nor harm what is the tool's, and nothing of secrets and processes is left",
  async (slipway) => {
    const { directory, root } = slipway;
    writeFileSync(join(directory, "given"), "given");
    writeFileSync(join(directory, "s"), `${SECRET}\n`);
    const linux = createLinux();
    const ours = () => [
      treeFingerprint(linux, "/etc"),
      treeFingerprint(linux, directory),
      readFileSync("/etc/hosts", "utf8"),
    ];
    const before = ours();
    const build = ["build", "-q", "-t", "tried", "--secret=id=s,src=s", "--secret=id=e,env=E"];
    await slipway.run([...build, `--build-arg=STORE=${root}`, "-f", "-", "."], {
      input: HOSTILE,
      env: { E: SECRET, OURS: "not theirs" },
    });
    expect(ours()).toEqual(before);
    const files = async (path: string) => slipway.text("run", "--rm", "-u", "0", "tried2", "cat", path);
    await slipway.run(["build", "-q", "-t", "tried2", "-f", "-", "."], {
      input: "FROM alpine\nCOPY --from=tried /tried /seen /\n",
    });
    const tried = await files("/tried");
    expect(tried).toContain("chroot: can't change root directory to '/': Operation not permitted");
    expect(tried).toContain("mknod: /disk: Operation not permitted");
    expect(tried).toMatch(/mount: .*(not permitted|denied)/);
    expect(tried).toContain("unshare");
    const seen = await files("/seen");
    expect(seen).toContain(`ls: ${root}: No such file or directory`);
    expect(seen).not.toContain("not theirs");
    expect(seen).not.toContain(SECRET);
    expect(seen).toContain("uid=0(root)");
    expect(Bun.spawnSync(["grep", "-rlF", SECRET, root]).stdout.toString()).toBe("");
    expect(Bun.spawnSync(["ps", "-eo", "args"]).stdout.toString()).not.toContain("sleep 987.654");
    expect(existsSync("/disk")).toBe(false);
  },
);

rung(
  "caches go from step to step and from build to build; what needs a namespace is refused by name, with the rung that has it",
  async (slipway) => {
    const build = (dockerfile: string, exit = 0, args: string[] = []) =>
      slipway.run(["build", "--progress=plain", ...args, "-f", "-", "."], { input: dockerfile, exit });
    const cached = `FROM alpine AS a
RUN --mount=type=cache,target=/c echo a >>/c/f && sleep 0.5 && cat /c/f
FROM alpine AS b
RUN --mount=type=cache,target=/c echo b >>/c/f && sleep 0.5 && cat /c/f
FROM alpine
COPY --from=a /etc/passwd /a
COPY --from=b /etc/passwd /b
RUN --mount=type=cache,target=/c wc -l </c/f && <<EOF cat
a heredoc
EOF
RUN <<EOF
#!/bin/sh
echo script $0
EOF
`;
    const { stderr } = await build(cached);
    expect(stderr).toMatch(/ 2\n/);
    expect(stderr).toContain("a heredoc");
    expect(stderr).toContain("script /dev/pipes/");
    expect((await build(cached, 0, ["--no-cache"])).stderr).toMatch(/ 4\n/);
    for (const [run, args, said] of [
      ["RUN --network=none true", [], "a step without a network"],
      ["RUN --security=insecure true", ["--allow=security.insecure"], "--security=insecure"],
      ["RUN --mount=type=tmpfs,target=/t,size=1m true", [], "a tmpfs of a limited size at /t"],
      ["RUN true", ["--network=none"], "a step without a network"],
      ["RUN --mount=type=bind,target=/ true", [], "mount"],
    ] as const) {
      const refused = await build(`FROM alpine\n${run}\n`, 1, [...args]);
      expect(refused.stderr).toContain(said);
      if (said !== "mount") expect(refused.stderr).toContain("--isolation oci");
    }
    const failed = await build("FROM alpine\nRUN exit 3\n", 1);
    expect(failed.stderr).toContain("exit code: 3");
    expect((await build('FROM alpine\nRUN ["nothing"]\n', 1)).stderr).toContain("executable file not found");
  },
);

rung("run --rm runs a command in the image's files, and says of each option that it cannot", async (slipway) => {
  mkdirSync(join(slipway.directory, "here"));
  const run = (args: string[], options: Parameters<Slipway["run"]>[1] = {}) => slipway.run(["run", ...args], options);
  const one = await run(
    [
      "--rm",
      "-i",
      "-e",
      "A=b",
      "-u",
      "guest",
      "-w",
      "/tmp",
      "--tmpfs",
      "/scratch",
      "alpine",
      "sh",
      "-c",
      "cat; echo $A; id -un; pwd; touch /scratch/x; cat /etc/hostname >/dev/null; echo e >/dev/stderr; exit 42",
    ],
    {
      input: "given\n",
      exit: 42,
    },
  );
  expect(one.stdout).toBe("given\nb\nguest\n/tmp\n");
  expect(one.stderr).toEndWith("e\n");
  expect((await run(["--rm", "alpine", "cat"])).stdout).toBe("");
  await run(["--rm", "alpine", "nothing"], { exit: 127 });
  await run(["--rm", "--entrypoint=/etc/passwd", "alpine"], { exit: 126 });
  for (const [args, said] of [
    [["alpine", "true"], "run without --rm"],
    [["--rm", "-d", "alpine"], "-d"],
    [["--rm", "-v", `${slipway.directory}/here:/x`, "alpine"], "-v"],
    [["--rm", "-p", "80:80", "alpine"], "-p"],
    [["--rm", "--network=none", "alpine"], "--network"],
    [["--rm", "-m", "64m", "alpine"], "a limit of memory"],
    [["--rm", "--privileged", "alpine"], "--privileged"],
    [["--rm", "--cap-add=sys_admin", "alpine"], "sys_admin"],
    [["--rm", "--read-only", "alpine"], "--read-only"],
    [["--rm", "--hostname=x", "alpine"], "--hostname"],
  ] as const) {
    const refused = await run([...args], { exit: 125 });
    expect(refused.stderr).toContain(said);
    expect(refused.stderr).toContain("cannot be had by chroot");
  }
  expect(await slipway.text("ps", "-aq")).toBe("");
  await slipway.run(["create", "--name=made", "alpine", "true"]);
  expect((await slipway.run(["start", "made"], { exit: "any" })).stderr).toContain("cannot be had by chroot");
  const info = JSON.parse(await slipway.text("info", "--format=json"));
  expect(info.Isolation).toMatchObject({ name: "chroot", missing: expect.stringContaining("CAP_SYS_ADMIN") });
  for (const wish of ["nothing", "rootless", "oci"])
    expect((await slipway.run([`--isolation=${wish}`, "info"], { exit: 125 })).stderr).toContain("isolation");
});

function rung(does: string, work: (slipway: Slipway) => Promise<void>): void {
  const caller = process.getuid?.() === 0 ? rungs.chroot.caller() : { missing: "only root may give capabilities away" };
  if ("missing" in caller) test.skip(`${does} (skipped: ${caller.missing})`, () => {});
  else test(does, () => withSlipway(work, { caller }), 120_000);
}
