import { expect } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { busyboxImage } from "../../scripts/lib/busyboxImage.mjs";
import { pushImage, pushIndex } from "../../scripts/lib/pushImage.mjs";
import { withRegistry } from "../support/dockerRegistry.ts";
import { e2e } from "../support/e2e.ts";
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
      await pushBase(registry);
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
