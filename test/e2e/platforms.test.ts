import { expect } from "bun:test";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { busyboxImage } from "../../scripts/lib/busyboxImage.mjs";
import { pushImage, pushIndex } from "../../scripts/lib/pushImage.mjs";
import { writeTar } from "../../scripts/lib/writeTar.mjs";
import { withRegistry } from "../support/dockerRegistry.ts";
import { e2e } from "../support/e2e.ts";
import { foreign, withEmulator } from "../support/emulator.ts";
import { writeFiles } from "../support/files.ts";
import { sh } from "../support/shell.ts";

const own = process.arch === "arm64" ? "arm64" : "amd64";
const other = own === "amd64" ? "arm64" : "amd64";
const both = `linux/${own},linux/${other}`;

/** Two images of this machine's busybox; the config of one says that it is another's. */
async function pushBase(registry: { url: string }, docker = false): Promise<string> {
  const parts = [];
  for (const architecture of [own, other])
    parts.push(
      await pushImage(registry.url, "base", architecture, {
        ...busyboxImage(),
        docker,
        platform: { os: "linux", architecture },
      }),
    );
  return (await pushIndex(registry.url, "base", "1", parts, { docker })).digest;
}

const raw = (name: string) => JSON.parse(sh("/", `skopeo inspect --raw --tls-verify=false docker://${name}`));
const platformsOf = (index: { manifests: { platform: { os: string; architecture: string } }[] }): string[] =>
  index.manifests.map(({ platform }) => `${platform.os}/${platform.architecture}`);

e2e(
  "a build for several platforms runs once what is the same for all, and gives an index to what can hold one",
  (slipway) =>
    withRegistry(async (registry) => {
      const base = await pushBase(registry);
      const { directory } = slipway;
      const app = `${registry.host}/app`;
      writeFiles(directory, {
        a: "a",
        Dockerfile: `FROM --platform=$BUILDPLATFORM ${registry.host}/base:1 AS build
RUN cat /proc/sys/kernel/random/uuid > /id
ARG TARGETARCH
RUN echo "for $TARGETARCH" > /arch
FROM ${registry.host}/base:1
COPY a /a
COPY --from=build /id /arch /
`,
      });
      const built = await slipway.run([
        ...["build", "--progress", "plain", "--platform", `linux/${own}`, "--platform", both, "-t", `${app}:1`],
        ...["--metadata-file", "meta.json", "--annotation", "k=all", "--annotation", "index:i=v"],
        ...["--annotation", `manifest[linux/${other}]:k=one`, "--annotation", `manifest-descriptor[linux/${own}]:d=w`],
        ...["-o", "type=oci,dest=oci,tar=false", "-o", "type=local,dest=out", "-o", "type=tar,dest=out.tar"],
        ...["--push", "--load", "."],
      ]);
      const count = (text: string) => built.stderr.split("\n").filter((line) => line.includes(`] ${text}`)).length;
      expect(built.stderr).toContain(`[linux/${other} internal] load metadata for ${registry.host}/base:1`);
      expect(built.stderr).toContain(`[linux/${own} build 2/3] RUN cat`);
      expect(count("RUN cat")).toBe(1);
      expect(count("load build context")).toBe(1);
      expect(built.stderr).toContain(`[linux/${own} build 3/3] RUN echo "for ${own}"`);
      expect(built.stderr).toContain(`[linux/${own}->${other} build 3/3] RUN echo "for ${other}"`);
      expect(built.stderr).toContain(`[linux/${other} stage-1 2/3] COPY a /a`);

      const index = raw(`${app}:1`);
      expect(index).toMatchObject({ mediaType: "application/vnd.oci.image.index.v1+json", annotations: { i: "v" } });
      expect(platformsOf(index)).toEqual(both.split(","));
      expect(index.manifests[0].annotations).toEqual({ d: "w" });
      expect(index.manifests[1].annotations).toBeUndefined();
      const manifests = index.manifests.map(({ digest }: { digest: string }) => raw(`${app}@${digest}`));
      expect(manifests.map(({ annotations }: { annotations: unknown }) => annotations)).toEqual([
        { k: "all" },
        { k: "one" },
      ]);
      const metadata = JSON.parse(readFileSync(join(directory, "meta.json"), "utf8"));
      const written = JSON.parse(readFileSync(join(directory, "oci/index.json"), "utf8"));
      expect(metadata["containerimage.digest"]).toBe(written.manifests[0].digest);
      expect(metadata["containerimage.descriptor"]).toMatchObject({ mediaType: index.mediaType });
      expect(
        platformsOf(
          JSON.parse(readFileSync(join(directory, "oci/blobs", written.manifests[0].digest.replace(":", "/")), "utf8")),
        ),
      ).toEqual(both.split(","));
      for (const architecture of [own, other]) {
        sh(directory, `skopeo copy -q --override-arch ${architecture} oci:oci:1 dir:${architecture}`);
        expect(readFileSync(join(directory, `out/linux_${architecture}/arch`), "utf8")).toBe(`for ${architecture}\n`);
        expect(sh(directory, `tar xOf out.tar linux_${architecture}/arch`).trim()).toBe(`for ${architecture}`);
      }
      expect(readFileSync(join(directory, `out/linux_${other}/id`), "utf8")).toBe(
        readFileSync(join(directory, `out/linux_${own}/id`), "utf8"),
      );

      // The second time nothing runs, and no base is asked for.
      const again = await slipway.run(["build", "--fail-on-miss", "--platform", both, "-t", "again", "."]);
      expect(await slipway.text("image", "inspect", "--format", "{{.Architecture}}", "again")).toBe(own);
      expect(again.stdout.trim()).toBe(await slipway.text("image", "inspect", "--format", "{{.Id}}", `${app}:1`));

      // Nor where the base is named by its digest.
      writeFiles(directory, { "pinned/Dockerfile": `FROM ${registry.host}/base@${base}\nENV A=b\n` });
      const pinned = ["build", "-q", "--platform", both, "pinned"];
      await slipway.run(pinned);
      await registry.stop();
      await slipway.run(pinned);

      const refused = (...args: string[]) => slipway.run(["build", "--platform", both, ...args, "."], { exit: 1 });
      expect((await refused("-o", "type=docker,dest=x.tar")).stderr).toContain(
        "docker exporter does not currently support exporting manifest lists",
      );
      expect((await refused("-o", "type=local,dest=flat,platform-split=false")).stderr).toMatch(
        /cannot overwrite \S+ from linux\/\w+ with linux\/\w+ when split option is disabled/,
      );
      expect((await refused("-o", "type=image,annotation[linux/s390x].k=v")).stderr).toContain(
        "invalid annotation: no platform linux/s390x found in source",
      );
      expect(existsSync(join(directory, "x.tar")) || existsSync(join(directory, "flat"))).toBe(false);
    }),
);

e2e("the store keeps all images of a name: push sends their index, --platform one, and rmi removes either", (slipway) =>
  withRegistry(async (registry) => {
    await pushBase(registry, true);
    const { directory } = slipway;
    const app = `${registry.host}/app`;
    writeFiles(directory, { a: "a", Dockerfile: `FROM ${registry.host}/base:1\nCOPY a /a\nENV A=b\n` });
    const build = ["build", "-q", "--platform", `linux/${other}`, "--platform", `linux/${own}`, "-t", "kept"];
    await slipway.run([...build, "--annotation", "k=v", "--annotation", "index:i=v", "."]);
    const id = await slipway.text("image", "inspect", "-f", "{{.Id}}", "kept");
    const foreign = await slipway.text("image", "inspect", "-f", "{{.Id}}", "--platform", `linux/${other}`, "kept");
    expect(foreign).not.toBe(id);
    expect((await slipway.text("images", "-q", "--no-trunc")).split("\n")).toHaveLength(2); // with the base
    expect(await slipway.text("history", "-q", "--no-trunc", "--platform", `linux/${other}`, "kept")).toStartWith(
      foreign,
    );
    await slipway.run(["run", "--rm", "kept", "true"]);
    // The base says that it is another's and is this machine's, as images with a wrong config do.
    await slipway.run(["run", "--rm", "--platform", `linux/${other}`, "kept", "true"]);
    await slipway.run(["run", "--rm", "--pull", "never", "--platform", "linux/s390x", "kept"], { exit: 125 });

    await slipway.run(["tag", "kept", `${app}:1`]);
    await slipway.run(["push", "-q", `${app}:1`]);
    const index = raw(`${app}:1`);
    expect(index.annotations).toEqual({ i: "v" });
    expect(platformsOf(index)).toEqual([`linux/${other}`, `linux/${own}`]);
    const manifest = raw(`${app}@${index.manifests[0].digest}`);
    expect(manifest).toMatchObject({ annotations: { k: "v" }, config: { digest: foreign } });
    expect(await slipway.text("images", "--digests", "--format", "{{.Digest}}", app)).toBe(
      `sha256:${Bun.SHA256.hash(sh("/", `skopeo inspect --raw --tls-verify=false docker://${app}:1`), "hex")}`,
    );
    await slipway.run(["push", "-q", "--platform", `linux/${own}`, `${app}:1`]);
    expect(raw(`${app}@${index.manifests[1].digest}`).config.digest).toBe(id);

    // An archive holds them all as well.
    await slipway.run(["save", "-o", "kept.tar", "kept"]);
    const root = { env: { SLIPWAY_ROOT: join(directory, "loaded") } };
    await slipway.run(["load", "-i", "kept.tar"], root);
    for (const architecture of [own, other]) {
      const loaded = ["image", "inspect", "-f", "{{.Architecture}}", "--platform", `linux/${architecture}`, "kept"];
      expect((await slipway.run(loaded, root)).stdout.trim()).toBe(architecture);
    }
    await slipway.run(["save", "--platform", `linux/${other}`, "-o", "one.tar", "kept"]);
    expect(sh(directory, "skopeo inspect --config docker-archive:one.tar")).toContain(`"architecture": "${other}"`);

    expect(await slipway.text("rmi", "--platform", `linux/${other}`, "kept")).toBe(""); // the other name has it
    expect(await slipway.text("rmi", "--platform", `linux/${other}`, `${app}:1`)).toContain(`Deleted: ${foreign}`);
    await slipway.run(["image", "inspect", "--platform", `linux/${other}`, "kept"], { exit: 1 });
    await slipway.run([...build, "."]);
    expect(await slipway.text("image", "prune", "-f")).not.toContain(foreign);
    await slipway.run(["tag", `${app}:1`, "own"]);
    expect(await slipway.text("rmi", "kept")).toContain(`Deleted: ${foreign}`);
    expect(await slipway.text("image", "inspect", "-f", "{{.Id}}", "own")).toBe(id);
  }),
);

e2e("push compresses anew what is asked for, built or pulled, and what came zstd or plain is read", (slipway) =>
  withRegistry(async (registry) => {
    const { directory, hub } = slipway;
    const repository = `${registry.host}/c`;
    const layers = (tag: string) =>
      raw(`${repository}:${tag}`).layers.map(({ mediaType }: { mediaType: string }) =>
        mediaType.replace(/.*layer\.v1\./, ""),
      );
    writeFiles(directory, { a: "a", Dockerfile: "FROM busybox\nCOPY a /a\n" });
    await slipway.run(["build", "-q", "-t", `${repository}:built`, "."]);
    const push = (tag: string, ...args: string[]) => slipway.run(["push", "-q", ...args, `${repository}:${tag}`]);
    await push("built", "--compression", "zstd", "--compression-level", "9", "--force-compression=false");
    expect(layers("built")).toEqual(["tar+gzip", "tar+zstd"]);
    await push("built", "--compression", "zstd");
    expect(layers("built")).toEqual(["tar+zstd", "tar+zstd"]);
    await slipway.run(["pull", "-q", "busybox"]);
    const digest = await slipway.text("images", "--digests", "--format", "{{.Digest}}", "busybox");
    for (const format of ["zstd", "uncompressed", "gzip"]) {
      await slipway.run(["tag", "busybox", `${repository}:${format}`]);
      await push(format, "--compression-format", format);
      expect(layers(format)).toEqual([format === "uncompressed" ? "tar" : `tar+${format}`]);
      const root = { env: { SLIPWAY_ROOT: join(directory, format) } };
      await slipway.run(["pull", "-q", `${repository}:${format}`], root);
      const ran = await slipway.run(["run", "--rm", `${repository}:${format}`, "echo", "read"], root);
      expect(ran.stdout).toBe("read\n");
      // As it came.
      const before = raw(`${repository}:${format}`);
      await slipway.run(["tag", `${repository}:${format}`, `${repository}:again`], root);
      await slipway.run(["push", "-q", `${repository}:again`], root);
      expect(raw(`${repository}:again`)).toEqual(before);
      await slipway.run(["rmi", "-f", `${repository}:again`, `${repository}:${format}`], root);
    }
    await slipway.run(["tag", "busybox", `${repository}:same`]);
    await push("same");
    expect(
      `sha256:${Bun.SHA256.hash(sh("/", `skopeo inspect --raw --tls-verify=false docker://${repository}:same`), "hex")}`,
    ).toBe(digest);
    expect(hub.host).not.toBe(registry.host);
    expect((await slipway.run(["push", "--compression", "lzma", `${repository}:same`], { exit: 1 })).stderr).toContain(
      "lzma",
    );
  }),
);

e2e(
  "a program of another platform runs by an emulator; where there is none the error says what to install",
  async (slipway) => {
    const { directory } = slipway;
    const program = Buffer.alloc(120);
    program.write("\x7fELF\x02\x01\x01", "latin1");
    program.writeUInt16LE(2, 16);
    program.writeUInt16LE(8, 18); // mips64le: nobody's processor here
    writeFileSync(join(directory, "prog"), program);
    chmodSync(join(directory, "prog"), 0o755);
    const platform = ["--platform", "linux/mips64le"];
    writeFiles(directory, { Dockerfile: 'FROM scratch\nCOPY prog /prog\nENV A=b\nCMD ["/prog"]\n' });
    await slipway.run(["build", "-q", ...platform, "-t", "foreign", "."]);
    const emulated = existsSync("/proc/sys/fs/binfmt_misc/qemu-mips64el");
    const ran = await slipway.run(["run", "--rm", "foreign"], { exit: "any" });
    writeFiles(directory, { Dockerfile: 'FROM scratch\nCOPY prog /prog\nRUN ["/prog"]\n' });
    const built = await slipway.run(["build", ...platform, "."], { exit: 1 });
    if (emulated) return; // it holds no code: an emulator fails in its own way
    expect(ran.exitCode).toBe(126);
    for (const { stderr } of [ran, built]) {
      expect(stderr).toContain("cannot run programs for linux/mips64le");
      expect(stderr).toContain("qemu-mips64el, registered with binfmt_misc");
    }
  },
);

e2e(
  "RUN and run execute programs of another platform by QEMU, from a base of it that was pulled",
  (slipway) =>
    withEmulator((busybox) =>
      withRegistry(async (registry) => {
        const { directory } = slipway;
        const content = readFileSync(busybox);
        const layers = [
          writeTar([
            { path: "bin/busybox", content, mode: 0o755 },
            { path: "bin/sh", link: "busybox" },
          ]),
        ];
        const config = { Env: ["PATH=/bin"] };
        const base = { layers, config, platform: { os: "linux", architecture: foreign } };
        const parts = [await pushImage(registry.url, "base", "foreign", base)];
        parts.push(await pushImage(registry.url, "base", "own", { ...busyboxImage() }));
        await pushIndex(registry.url, "base", "1", parts);
        writeFiles(directory, {
          Dockerfile: `FROM ${registry.host}/base:1
ARG TARGETARCH
RUN busybox uname -m > /machine && echo "$TARGETARCH" >> /machine
RUN --mount=type=cache,target=/c busybox id -u >> /machine; busybox cat /proc/self/status | busybox grep -c NoNewPrivs >> /machine
CMD ["busybox", "cat", "/machine"]
`,
        });
        const machines: Record<string, string> = { amd64: "x86_64", arm64: "aarch64" };
        await slipway.run(["build", "-q", "--platform", `linux/${own},linux/${foreign}`, "-t", "app", "."]);
        for (const architecture of [own, foreign])
          expect(await slipway.text("run", "--rm", "--platform", `linux/${architecture}`, "app")).toBe(
            `${machines[architecture]}\n${architecture}\n0\n1`,
          );
        await slipway.run([
          "run",
          "-d",
          "--name",
          "emulated",
          "--platform",
          `linux/${foreign}`,
          "app",
          "busybox",
          "sleep",
          "60",
        ]);
        expect(await slipway.text("exec", "emulated", "busybox", "uname", "-m")).toBe(machines[foreign] as string);
      }),
    ),
  { minutes: 4 },
);
