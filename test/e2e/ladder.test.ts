import { expect, test } from "bun:test";
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { ImageConfig } from "../../src/oci/config.ts";
import { type BuiltFile, filesOf } from "../support/builtImage.ts";
import { type Rung, rungs } from "../support/rungs.ts";
import { type Slipway, withSlipway } from "../support/withSlipway.ts";

/** Everything of a layer on which a rung could stumble: owners, modes, whiteouts, opaque directories, links, attributes, mounts, users. */
const DOCKERFILE = `
FROM alpine AS tools
RUN mkdir -p /out/dir /gone/deep && echo one >/out/a && ln /out/a /out/hard && ln -s a /out/soft && mkfifo /out/pipe \\
 && chown 1000:1001 /out/dir && chown 65534:65535 /out/a && chmod 4755 /out/a && chmod 1770 /out/dir && echo x >/gone/deep/f && echo x >/gone/g

FROM tools
RUN rm /gone/g /out/pipe && rm -r /out/dir && mkdir /out/dir && echo new >/out/dir/new && mv /gone/deep /gone/moved
RUN rm -rf /gone && echo changed >>/out/dir/new && chmod 2711 /out/dir
COPY --chown=12:34 --chmod=640 file made/
COPY link /made/
COPY --from=tools /out /copied
ADD files.tar /added/
RUN --mount=type=cache,target=/cache,uid=7 --mount=type=tmpfs,target=/scratch --mount=type=bind,from=tools,source=/out,target=/bound \\
    --mount=type=secret,id=s,uid=405 stat -c %u /cache >/seen && echo c >/cache/c && echo t >/scratch/t && cat /bound/a /run/secrets/s >>/seen
USER guest
WORKDIR /home/guest
RUN id -u >/tmp/user && id -g >>/tmp/user && ! touch /etc/mine && echo $HOME >>/tmp/user
`;

const built = new Map<string, unknown>();

/** Layers that each rung makes where nothing in them depends on the time. */
const dated = new Map<string, string>();

for (const rung of [rungs.root, rungs.namespace, rungs.chroot]) {
  onRung(rung, "makes the image that every other rung makes, and its second build runs nothing", async (slipway) => {
    contextIn(slipway);
    const args = ["--secret", "id=s,src=file"];
    const build = () =>
      slipway.run(["build", "--progress=plain", "-t", "built", ...args, "-f", "-", "."], { input: DOCKERFILE });
    await build();
    const image = await savedImage(slipway, "built");
    built.set(rung.name, seenOf(image));
    expect(built.get(rung.name)).toEqual(built.get("root"));
    await slipway.run(
      ["build", "-q", "-t", "dated", ...args, "--build-arg=SOURCE_DATE_EPOCH=1000000000", "-f", "-", "."],
      {
        input: DOCKERFILE,
      },
    );
    dated.set(rung.name, await slipway.text("image", "inspect", "--format={{json .RootFS.Layers}}", "dated"));
    expect(dated.get(rung.name)).toEqual(dated.get("root"));
    expect((await build()).stderr.match(/CACHED/g)?.length).toBeGreaterThan(8);
    // From a file, so that a user's build may be tried outside the namespace, and begun anew in the midst of it; it is shown once.
    writeFileSync(join(slipway.directory, "Dockerfile"), `${DOCKERFILE}\nRUN echo more >/tmp/more`);
    for (const cached of [false, true]) {
      const { stderr } = await slipway.run(["build", "--progress=plain", ...args, "."]);
      expect(stderr.match(/load build definition/g)?.length).toBe(1);
      expect(stderr.match(/CACHED/g)?.length).toBe(cached ? 12 : 11);
    }
    expect(await slipway.text("builds", "--format", "{{.Status}}").then((all) => new Set(all.split("\n")))).toEqual(
      new Set(["done"]),
    );
    expect((await savedImage(slipway, "built")).config).toEqual(image.config);
  });
}

for (const rung of [rungs.root, rungs.namespace]) {
  onRung(rung, "runs containers, keeps volumes, and leaves nothing that it cannot remove", async (slipway) => {
    const run = (...args: string[]) => slipway.text("run", "--rm", "--network=host", ...args);
    const alone = "FROM alpine\nRUN --network=none ls /sys/class/net >/links && id -u >>/links\n";
    await slipway.run(["build", "-t", "alone", "-f", "-", "."], { input: alone });
    expect(await run("alone", "cat", "/links")).toBe("lo\n0");
    expect(await run("alpine", "sh", "-c", "id -u; touch /x; chown 9:9 /x; stat -c %u:%g /x")).toBe("0\n9:9");
    expect(await run("-u", "guest", "alpine", "id", "-u")).toBe("405");
    await run("-v", "kept:/v", "alpine", "sh", "-c", "echo in >/v/f; chown 405:100 /v/f; chmod 600 /v/f");
    expect(await run("-v", "kept:/v", "-u", "guest", "alpine", "cat", "/v/f")).toBe("in");
    await slipway.run(["run", "-d", "--network=host", "--name=cc", "alpine", "sh", "-c", "echo begun; exec sleep 300"]);
    expect(await slipway.text("exec", "cc", "sh", "-c", "echo $$ >/pid; chown 12:12 /pid; cat /proc/1/comm")).toBe(
      "sleep",
    );
    expect(await slipway.text("exec", "-u", "guest", "cc", "id", "-u")).toBe("405");
    expect(await slipway.text("logs", "cc")).toBe("begun");
    await slipway.run(["cp", "cc:/pid", "."]);
    expect(statSync(join(slipway.directory, "pid")).isFile()).toBe(true);
    expect(await slipway.text("diff", "cc")).toContain("A /pid");
    await slipway.run(["commit", "cc", "committed"]);
    await slipway.run(["stop", "-t", "0", "cc"]);
    expect(await slipway.text("ps", "-a", "--format", "{{.Names}} {{.Status}}")).toStartWith("cc Exited (137)");
    await slipway.run(["rm", "cc"]);
    expect(await run("committed", "stat", "-c", "%u:%g", "/pid")).toBe("12:12");
    const pushed = `${slipway.hub.host}/ladder/committed:latest`;
    await slipway.run(["tag", "committed", pushed]);
    await slipway.run(["push", "-q", pushed]);
    await slipway.run(["rmi", "-f", pushed, "committed"]);
    expect(await run(pushed, "stat", "-c", "%u:%g", "/pid")).toBe("12:12");
    await slipway.run(["system", "prune", "-af", "--volumes"]);
    await slipway.run(["volume", "prune", "-af"]);
    for (const place of ["layers", "containers", "volumes", "tmp"])
      expect([place, readdirSync(join(slipway.root, place))]).toEqual([place, []]);
    for (const place of [slipway.root, ...readdirSync(slipway.root).map((name) => join(slipway.root, name))]) {
      const { mode } = statSync(place);
      if (statSync(place).isDirectory()) expect([place, mode & 0o077]).toEqual([place, 0]);
    }
  });
}

onRung(
  rungs.singleId,
  "builds and runs what needs no other id, refuses the rest by name, and says which command gives more",
  async (slipway) => {
    const build = (dockerfile: string, exit = 0) =>
      slipway.run(["build", "--progress=plain", "-t", "built", "-f", "-", "."], { input: dockerfile, exit });
    contextIn(slipway);
    await build("FROM alpine\nRUN rm -r /opt && mkdir /opt && id -u >/opt/id\nCOPY file /opt/\n");
    expect(await slipway.text("run", "--rm", "--network=host", "built", "cat", "/opt/id", "/opt/file")).toBe("0\ntext");
    const refusals = [
      ["FROM alpine\nCOPY --chown=1:2 file /\n", "COPY --chown"],
      ["FROM alpine\nUSER guest\nRUN true\n", "RUN true"],
      ["FROM alpine\nADD files.tar /\n", "sub/f"],
    ] as const;
    for (const [dockerfile, place] of refusals) {
      const { stderr } = await build(dockerfile, 1);
      expect(stderr).toContain(place);
      expect(stderr).toMatch(/none of the ids that this user has here \(0\)\nRoot has all ids/);
    }
    const { Isolation } = JSON.parse(await slipway.text("info", "--format", "json"));
    expect(Isolation).toMatchObject({
      name: "single-id",
      missing: expect.stringMatching(/usermod --add-subuids|apt-get/),
    });
    await slipway.run(["run", "--rm", "--network=host", "-u", "405", "alpine", "true"], { exit: 125 });
  },
);

onRung(
  rungs.namespace,
  "unshare shows the store as containers see it, and ends as its command did; nothing of it is root outside",
  async (slipway) => {
    await slipway.run([
      "run",
      "--rm",
      "--network=host",
      "-v",
      "kept:/v",
      "alpine",
      "sh",
      "-c",
      "touch /v/f; chown 405:100 /v/f; chmod 4755 /v/f",
    ]);
    const file = readdirSync(join(slipway.root, "volumes"), { recursive: true }).find((path) =>
      `${path}`.endsWith("/f"),
    );
    const path = join(slipway.root, "volumes", String(file));
    expect(await slipway.text("unshare", "stat", "-c", "%u:%g", path)).toBe("405:100");
    expect(statSync(path).uid).toBeGreaterThan(65535);
    await slipway.run(["unshare", "sh", "-c", "exit 42"], { exit: 42 });
    await slipway.run(["unshare", "sh", "-c", "kill -KILL $$"], { exit: 137 });
    await slipway.run(["unshare", "no-such-program"], { exit: 127 });
    await slipway.run(["unshare", "sh", "-c", "echo >/etc/slipway-test-file"], { exit: "any" });
    expect(existsSync("/etc/slipway-test-file")).toBe(false);
    const limited = await slipway.run(["run", "--rm", "--network=host", "-m", "64m", "alpine", "true"], { exit: 125 });
    expect(limited.stderr).toMatch(/control group/);
    // runc would pass over a limit that it cannot have.
    if (Bun.which("runc") !== null) {
      const runc = ["--runtime=runc", "run", "--rm", "--network=host"];
      expect(await slipway.text(...runc, "alpine", "id", "-u")).toBe("0");
      await slipway.run([...runc, "-m", "64m", "alpine", "true"], { exit: 125 });
    }
    const { Isolation } = JSON.parse(await slipway.text("info", "--format", "json"));
    expect(Isolation).toEqual({ name: "namespace", how: expect.stringContaining("65537 ids") });
  },
);

function onRung(rung: Rung, does: string, work: (slipway: Slipway) => Promise<void>): void {
  const caller = process.getuid?.() === 0 ? rung.caller() : { missing: "only root may drop into others" };
  const name = `${rung.name}: ${does}`;
  if (caller !== undefined && "missing" in caller) test.skip(`${name} (skipped: ${caller.missing})`, () => {});
  else test(name, () => withSlipway(work, caller === undefined ? {} : { caller }), 120_000);
}

function contextIn({ directory }: Slipway): void {
  writeFileSync(join(directory, "file"), "text\n");
  symlinkSync("file", join(directory, "link"));
  mkdirSync(join(directory, "tar/sub"), { recursive: true });
  writeFileSync(join(directory, "tar/sub/f"), "from a tar\n");
  chownSync(join(directory, "tar/sub/f"), 501, 20);
  const { success } = Bun.spawnSync(["tar", "-C", join(directory, "tar"), "-cf", join(directory, "files.tar"), "sub"]);
  if (!success) throw new Error("no tar");
}

interface SavedImage {
  config: ImageConfig;
  layers: Map<string, BuiltFile>[];
}

/** As an archive tells it: what lies in the store has other owners where it is looked at from outside. */
async function savedImage(slipway: Slipway, name: string): Promise<SavedImage> {
  const folder = join(slipway.directory, crypto.randomUUID());
  mkdirSync(folder);
  await slipway.run(["save", "-o", join(slipway.directory, "saved.tar"), name]);
  if (!Bun.spawnSync(["tar", "-C", folder, "-xf", join(slipway.directory, "saved.tar")]).success)
    throw new Error("no tar");
  const read = (path: string): Buffer => readFileSync(join(folder, path));
  const [manifest] = JSON.parse(read("manifest.json").toString()) as [{ Config: string; Layers: string[] }];
  const layers = manifest.Layers.map(read).map((bytes) => filesOf(bytes[0] === 0x1f ? gunzipSync(bytes) : bytes));
  const config = JSON.parse(read(manifest.Config).toString()) as ImageConfig;
  rmSync(folder, { recursive: true });
  return { config, layers };
}

/** All but times, which differ from one build to the next. */
function seenOf({ config, layers }: SavedImage): unknown {
  const files = layers.map((layer) =>
    [...layer].map(
      ([path, { type, mode, uid, gid, text, linkname, xattrs }]) =>
        `${path}: ${type} ${mode.toString(8)} ${uid}:${gid} ${text.length > 99 ? Bun.hash(text) : text}${linkname} ${JSON.stringify(xattrs)}`,
    ),
  );
  return { config: config.config, files, history: config.history?.map((entry) => entry.created_by) };
}
