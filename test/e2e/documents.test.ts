import { expect } from "bun:test";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startRegistry } from "../../scripts/lib/loopbackRegistry.mjs";
import { withRegistry } from "../support/dockerRegistry.ts";
import { e2e } from "../support/e2e.ts";
import { writeFiles } from "../support/files.ts";
import { schemaFaults } from "../support/schemaFaults.ts";
import { withServedStore } from "../support/servedStore.ts";
import { sh } from "../support/shell.ts";
import { withTempDirectory } from "../support/tempDirectory.ts";

const own = process.arch === "arm64" ? "arm64" : "amd64";
const other = own === "amd64" ? "arm64" : "amd64";
const both = `linux/${own},linux/${other}`;

e2e("all that is written to registries, layouts and archives holds by the image-spec's schemas", (slipway) =>
  withTempDirectory(async (data) => {
    const registry = await startRegistry(data);
    try {
      const { directory } = slipway;
      const name = (tag: string) => `${registry.host}/team/app:${tag}`;
      writeFiles(directory, {
        a: "a",
        "image/Dockerfile": `FROM alpine
LABEL a=b
ENV C=d E=
EXPOSE 80 81/udp
VOLUME /v
HEALTHCHECK --interval=5s CMD true
USER 1:2
STOPSIGNAL SIGINT
SHELL ["/bin/sh", "-ec"]
ONBUILD RUN true
WORKDIR /w
ENTRYPOINT ["cat"]
CMD ["a"]
COPY --from=ctx a .
`,
        "several/Dockerfile": "FROM scratch\nCOPY --from=ctx a /\n",
        "bare/Dockerfile": "FROM scratch\nENV A=b\n",
      });
      const build = (...args: string[]) =>
        slipway.run(["build", "-q", "--build-context", "ctx=.", ...args], { cwd: directory });
      const cache = ["--cache-to", "type=local,dest=cache", "--cache-to", `type=registry,ref=${name("cache")}`];
      await build("-t", name("gzip"), "--annotation", "k=v", ...cache, "image", "--push");
      const forms = [
        ["-o", `type=registry,name=${name("zstd")},compression=zstd,force-compression=true`],
        ["-o", `type=registry,name=${name("docker")},oci-mediatypes=false`],
        ["-o", "type=oci,dest=plain,tar=false,compression=uncompressed,annotation-index.k=v"],
        ["-o", "type=oci,dest=archive.tar,compression=zstd"],
        ["-o", "type=docker,dest=docker.tar"],
      ].flat();
      await build(...forms, "image");
      await build(
        "-t",
        name("several"),
        "--platform",
        both,
        "--annotation",
        "index,manifest-descriptor:k=v",
        "--push",
        "several",
      );
      await build("-o", "type=oci,dest=several-layout,tar=false", "--platform", both, "several");
      await build("-t", name("squashed"), "--squash", "--load", "--push", "image");
      await build("-t", name("bare"), "--push", "bare");
      await slipway.run(["run", "--name", "made", "alpine", "true"]);
      await slipway.run(["commit", "-m", "message", "-a", "author", "-c", "ENV X=y", "made", name("commit")]);
      sh(directory, "tar cf root.tar a");
      await slipway.run(["import", "root.tar", name("import")]);
      for (const tag of ["commit", "import"]) await slipway.run(["push", "-q", name(tag)]);
      await slipway.run(["push", "-q", "--compression", "zstd", name("commit")]);
      await slipway.run([
        "imagetools",
        "create",
        "-t",
        name("tools"),
        "--annotation",
        "k=v",
        name("several"),
        name("gzip"),
      ]);
      await slipway.run(["manifest", "create", name("list"), name("gzip"), name("import")]);
      await slipway.run(["manifest", "annotate", "--variant", "v9", "--os-features", "x", name("list"), name("gzip")]);
      await slipway.run(["manifest", "push", name("list")]);
      const about = ["artifact", "push", "-q", "--artifact-type", "application/x.sbom", "--subject"];
      await slipway.run([...about, "gzip", "--annotation", "k=v", `${registry.host}/team/app`, "a:text/plain"]);
      await slipway.run([...about, "several", `${registry.host}/team/app`]);
      await slipway.run(["save", "-o", "saved.tar", name("squashed"), name("commit")]);
      await slipway.run(["image", "copy", "-q", name("squashed"), "oci:copied:1"]);
      for (const archive of ["archive", "docker", "saved"])
        sh(directory, `mkdir ${archive} && tar xf ${archive}.tar -C ${archive}`);

      for (const folder of [data, directory]) {
        const found = schemaFaults(folder);
        if (found === undefined) return;
        // An image that only sets its config has no layers: see docs/differences.md.
        const faults = found.faults.filter((fault) => !JSON.stringify(fault).includes('\\"layers\\":[]}'));
        expect([faults, found.faults.length]).toEqual([[], folder === data ? 1 : 0]);
        expect(Object.entries(found.checked).filter(([kind, count]) => count < (kind === "layout" ? 0 : 5))).toEqual(
          [],
        );
      }
    } finally {
      await registry.stop();
    }
  }),
);

e2e(
  "files are pushed about an image, listed, and pulled by their names, from registries with and without a list of referrers",
  (slipway) =>
    withRegistry((registry) => {
      const { directory } = slipway;
      const work = async (host: string): Promise<void> => {
        const name = `${host}/team/app`;
        await slipway.run(["tag", "alpine", `${registry.host}/team/app:1`]);
        await slipway.run(["image", "copy", "-q", "alpine", `docker://${name}:1`]);
        writeFiles(directory, { "sbom.json": '{"a":1}', "with:colon": "x" });
        const push = (...args: string[]) => slipway.text("artifact", "push", ...args);
        const sbom = await push(
          "--artifact-type",
          "application/spdx+json",
          "--subject",
          "1",
          name,
          "sbom.json",
          "with:colon:x/y",
        );
        await push("--artifact-type", "application/x.sig", "--subject", "1", "--annotation", "by=me", name);
        const manifest = JSON.parse(sh("/", `skopeo inspect --raw --tls-verify=false docker://${name}@${sbom}`));
        expect(manifest).toMatchObject({
          artifactType: "application/spdx+json",
          config: { mediaType: "application/vnd.oci.empty.v1+json" },
          subject: { mediaType: "application/vnd.oci.image.manifest.v1+json" },
          layers: [{ mediaType: "application/json" }, { mediaType: "x/y" }],
        });
        const list = ["image", "referrers", "--format", '{{.ArtifactType}} {{or .Annotations "-"}}', `${name}:1`];
        expect((await slipway.text(...list)).split("\n").sort()).toEqual([
          "application/spdx+json -",
          "application/x.sig by=me",
        ]);
        expect(
          await slipway.text("image", "referrers", "-q", "--artifact-type", "application/spdx+json", `${name}:1`),
        ).toBe(sbom);
        expect(await slipway.text("artifact", "pull", "-o", "out", `${name}@${sbom}`)).toBe("sbom.json\nwith:colon");
        expect(readFileSync(join(directory, "out/sbom.json"), "utf8")).toBe('{"a":1}');
        expect((await slipway.run(["artifact", "pull", `${name}:1`], { exit: 1 })).stderr).toContain("names no files");
        // What a name would lead to outside of the directory stays as it is.
        mkdirSync(join(directory, "trap"), { recursive: true });
        sh(directory, "rm -f trap/sbom.json");
        symlinkSync("../sbom.json", join(directory, "trap/sbom.json"));
        await slipway.run(["artifact", "pull", "-o", "trap", `${name}@${sbom}`], { exit: 1 });
        const hostile = {
          ...manifest,
          layers: [{ ...manifest.layers[0], annotations: { "org.opencontainers.image.title": "../escaped" } }],
        };
        await fetch(`http://${name.replace("/", "/v2/")}/manifests/escape`, {
          method: "PUT",
          headers: { "content-type": manifest.mediaType },
          body: JSON.stringify(hostile),
        });
        const refused = await slipway.run(["artifact", "pull", "-o", "out", `${name}:escape`], { exit: 1 });
        expect(refused.stderr).toContain("leads elsewhere");
        writeFileSync(join(directory, "sbom.json"), "");
        sh(directory, "test ! -e escaped && rm -r out");
      };
      return slipway
        .run(["pull", "-q", "alpine"])
        .then(() => work(registry.host))
        .then(() => withServedStore(slipway, ["--writable"], ({ host }) => work(host)));
    }),
);
