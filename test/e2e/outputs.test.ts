import { describe, expect } from "bun:test";
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openDirectoryFiles } from "../../src/archive/directoryFiles.ts";
import { readOciLayout } from "../../src/archive/ociLayout.ts";
import { createLinux } from "../../src/linux/createLinux.ts";
import { sha256 } from "../../src/oci/digest.ts";
import { e2e } from "../support/e2e.ts";
import { writeFiles } from "../support/files.ts";
import { makeTar } from "../support/layerTar.ts";
import { sh } from "../support/shell.ts";
import type { Slipway } from "../support/withSlipway.ts";

const DOCKERFILE = `FROM scratch AS base
COPY a gone /d/
FROM base
COPY b /d/a
COPY --chown=5:6 --chmod=640 b /e/b
COPY tree /tree/
COPY wh /
`;

/** A context whose image has a hard link, a symbolic link, an owner, a mode, and a file of the first layer that a later one replaces. */
function context(slipway: Slipway): void {
  const { directory } = slipway;
  writeFiles(directory, { a: "a", b: "b", gone: "gone", Dockerfile: DOCKERFILE, "tree/x": "x", "wh/w": "w" });
  sh(directory, "ln tree/x tree/y; ln -s x tree/l");
}

const inspect = (directory: string, name: string): { Digest: string; Layers: string[] } =>
  JSON.parse(sh(directory, `skopeo inspect ${name}`));

describe("outputs of a build", () => {
  e2e(
    "local and tar export the merged root file system, merge into what is there, and follow no link in it",
    async (slipway) => {
      const { directory } = slipway;
      context(slipway);
      const { stdout } = await slipway.run(["build", "-o", "new", "."]);
      expect(stdout).toBe("");
      expect(sh(directory, "cd new && find . | sort | tr '\\n' ' '")).toBe(
        ". ./d ./d/a ./d/gone ./e ./e/b ./tree ./tree/l ./tree/x ./tree/y ./w",
      );
      expect(readFileSync(join(directory, "new/d/a"), "utf8")).toBe("b");
      expect(readlinkSync(join(directory, "new/tree/l"))).toBe("x");
      const [x, y, b] = ["tree/x", "tree/y", "e/b"].map((path) => lstatSync(join(directory, "new", path)));
      expect(x?.ino).toBe(y?.ino as number);
      expect([b?.mode, b?.uid]).toEqual([0o100640, process.getuid?.() as number]);

      // What is there stays; a link is replaced, not followed; a directory in the way of a file goes.
      mkdirSync(join(directory, "old/d/a/deep"), { recursive: true });
      mkdirSync(join(directory, "outside"));
      symlinkSync("../outside", join(directory, "old/tree"));
      writeFileSync(join(directory, "old/mine"), "mine");
      await slipway.run(["build", "-o", "type=local,dest=old", "."]);
      expect(readdirSync(join(directory, "outside"))).toEqual([]);
      expect(readdirSync(join(directory, "old")).sort()).toEqual(["d", "e", "mine", "tree", "w"]);
      await slipway.run(["build", "-o", "old", "."]); // once more over itself, hard links and all
      expect(readFileSync(join(directory, "old/d/a"), "utf8")).toBe("b");
      await slipway.run(["build", "-o", "type=local,dest=old,mode=delete", "."]);
      expect(readdirSync(join(directory, "old")).sort()).toEqual(["d", "e", "tree", "w"]);
      const refused = await slipway.run(["build", "-o", "type=local,dest=..,mode=delete", "."], { exit: 1 });
      expect(refused.stderr).toContain("--allow buildx.local.delete");

      await slipway.run(["build", "-o", "type=tar,dest=t.tar,platform-split=true", "-o", "type=cacheonly", "."]);
      expect(sh(directory, "tar tvf t.tar | awk '{print $1, $2, $6}'").split("\n")).toContain(
        `-rw-r----- 5/6 linux_${process.arch === "x64" ? "amd64" : process.arch}/e/b`,
      );
      const piped = await slipway.run(["build", "-o", "-", "."]);
      expect(piped.stdout.length).toBe(lstatSync(join(directory, "t.tar")).size - 512); // less the platform's directory
      expect(await slipway.text("images", "-q")).toBe("");
    },
  );

  e2e("skopeo and umoci read every image format; a failed output leaves what was there", async (slipway) => {
    const { directory } = slipway;
    context(slipway);
    const outputs = [
      "type=oci,dest=gzip.tar,annotation.org.example.a=1",
      "type=oci,dest=zstd.tar,compression=zstd,compression-level=5",
      "type=oci,dest=dir,tar=false,compression=uncompressed",
      "type=docker,dest=docker.tar,oci-mediatypes=false",
    ].flatMap((output) => ["-o", output]);
    const files = ["--metadata-file", "meta.json", "--iidfile", "iid"];
    const { stdout } = await slipway.run(["build", "-q", "-t", "app:1", ...outputs, ...files, "."]);
    const id = stdout.trim();
    expect(readFileSync(join(directory, "iid"), "utf8")).toBe(id);
    for (const name of ["oci-archive:gzip.tar:1", "oci-archive:zstd.tar:1", "oci:dir:1", "docker-archive:docker.tar"]) {
      expect(inspect(directory, name).Layers.length).toBe(5);
      expect(sha256(sh(directory, `skopeo inspect --raw --config ${name}`))).toBe(id as never);
    }
    const manifest = JSON.parse(sh(directory, "skopeo inspect --raw oci-archive:zstd.tar:1"));
    expect(manifest.layers[0].mediaType).toBe("application/vnd.oci.image.layer.v1.tar+zstd");
    expect(JSON.parse(sh(directory, "skopeo inspect --raw oci-archive:gzip.tar:1")).annotations).toEqual({
      "org.example.a": "1",
    });
    expect(JSON.parse(sh(directory, "tar xOf docker.tar manifest.json"))[0].RepoTags).toEqual(["app:1"]);
    const meta = JSON.parse(readFileSync(join(directory, "meta.json"), "utf8"));
    expect(Object.keys(meta)).toEqual([
      "buildx.build.ref",
      "containerimage.config.digest",
      "containerimage.descriptor",
      "containerimage.digest",
      "image.name",
    ]);
    expect(meta["containerimage.digest"]).toBe(meta["containerimage.descriptor"].digest);
    sh(directory, "umoci unpack --image dir:1 bundle && cmp bundle/rootfs/d/a b && test ! -e bundle/rootfs/nothing");
    // And what umoci adds to it comes back.
    sh(
      directory,
      "cp -r dir umoci && umoci insert --image umoci:1 b /by/umoci && umoci config --image umoci:1 --config.env U=v",
    );
    await slipway.run(["image", "copy", "-q", "oci:dir:1", "ours"]);
    await slipway.run(["image", "copy", "-q", "oci:umoci:1", "theirs"]);
    const added = (await slipway.text("image", "diff", "ours", "theirs")).split("\n");
    expect(added.slice(0, 2)).toEqual(["A /by 0B", "A /by/umoci 1B"]);
    expect(added[2]).toEndWith(',"U=v"]');
    await slipway.run(["rmi", "ours", "theirs"]);

    // The same bytes again; a second name joins what a directory holds.
    sh(directory, "cp gzip.tar before.tar");
    await slipway.run(["build", "-q", "-t", "app:1", "-o", "type=oci,dest=gzip.tar,annotation.org.example.a=1", "."]);
    sh(directory, "cmp gzip.tar before.tar");
    await slipway.run(["build", "-q", "-t", "app:2", "-o", "type=oci,dest=dir,tar=false", "."]);
    expect(inspect(directory, "oci:dir:2").Digest).not.toBe(inspect(directory, "oci:dir:1").Digest);

    for (const [output, why] of [
      ["type=oci,dest=gzip.tar,compression=estargz", "lazy pulling"],
      ["type=oic", 'no type "oic"'],
      ["type=oci,dest=gzip.tar,compresion=zstd", "Did you mean compression"],
      ["type=oci,dest=gzip.tar,compression-level=12", "not between 0 and 9"],
      ["type=oci,dest=dir", "is a directory"],
      ["type=local", "dest is required"],
      ["type=registry", "tag is needed when pushing to registry"],
    ] as const)
      expect((await slipway.run(["build", "-o", output, "."], { exit: 1 })).stderr).toContain(why);
    sh(directory, "cmp gzip.tar before.tar; test -z \"$(find . -maxdepth 1 -name '.*.*')\"");
  });

  e2e("--squash makes one layer above the base, in which what was replaced and removed is no more", async (slipway) => {
    const { directory } = slipway;
    context(slipway);
    await slipway.run(["build", "-q", "-t", "base", "."]);
    writeFileSync(
      join(directory, "S"),
      "FROM base\nCOPY a /d/new\nCOPY b /d/new\nCOPY a /tree/x\nFROM alpine AS sh\nFROM base\nCOPY --from=sh / /\nRUN rm -r /d/gone /e && ln /d/a /d/hard && ln -s a /d/soft\nCOPY a /d/new\nCOPY b /d/new\n",
    );
    await slipway.run(["build", "-q", "-t", "plain", "-f", "S", "-o", "type=docker", "-o", "plain", "."]);
    await slipway.run(["build", "-q", "-t", "squashed", "--squash", "-f", "S", "--load", "-o", "squashed", "."]);
    expect(sh(directory, "diff -r --no-dereference plain squashed && find squashed/d | sort | tr '\\n' ' '")).toBe(
      "squashed/d squashed/d/a squashed/d/hard squashed/d/new squashed/d/soft",
    );
    const [image] = JSON.parse(await slipway.text("image", "inspect", "squashed"));
    expect(image.RootFS.Layers.length).toBe(6);
    expect(await slipway.text("history", "squashed")).toContain("merge sha256:");
  });
});

describe("archives of images", () => {
  e2e(
    "what is saved loads again under the same digests, in every compression, by skopeo and by us",
    async (slipway) => {
      const { directory } = slipway;
      context(slipway);
      const id = await slipway.text("build", "-q", "-t", "app:1", "-t", "other", ".");
      await slipway.run(["save", "-o", "s.tar", "app:1", "other"]);
      const digest = inspect(directory, "oci-archive:s.tar:1").Digest;
      sh(directory, "skopeo copy -q docker-archive:s.tar:app:1 docker-archive:old.tar:old:1");
      sh(
        directory,
        "skopeo copy -q oci-archive:s.tar:1 oci:layout:x; gzip -k s.tar; xz -k s.tar; bzip2 -k s.tar; zstd -q s.tar",
      );
      await slipway.run(["rmi", "-f", "app:1", "other"]);
      const fresh = { SLIPWAY_ROOT: join(directory, "fresh") };
      for (const env of [{}, fresh]) {
        for (const path of ["s.tar", "s.tar.gz", "s.tar.xz", "s.tar.bz2", "s.tar.zst"])
          expect((await slipway.run(["load", "-i", path], { env })).stdout).toBe(
            "Loaded image: app:1\nLoaded image: other:latest\n",
          );
        const bytes = readFileSync(join(directory, "s.tar.gz"));
        expect((await slipway.run(["load"], { env, input: bytes })).stdout).toContain("Loaded image: app:1\n");
        expect((await slipway.run(["load", "-i", "layout"], { env })).stdout).toBe(`Loaded image ID: ${id}\n`);
        expect((await slipway.run(["load", "-qi", "old.tar"], { env })).stdout).toBe("Loaded image: old:1\n");
        expect((await slipway.run(["images", "-q", "--no-trunc"], { env })).stdout.trim().split("\n")).toContain(id);
        await slipway.run(["save", "-o", "again.tar", "app:1"], { env });
        expect(inspect(directory, "oci-archive:again.tar:1").Digest).toBe(digest);
      }
      sh(directory, "cmp s.tar s.tar; skopeo copy -q oci-archive:again.tar:1 oci:back:1");
      const back = await readOciLayout(openDirectoryFiles(createLinux(), join(directory, "back")));
      expect((await back.manifest("", "1")).digest).toBe(digest as never);
    },
  );

  e2e(
    "import makes an image of a tar, export gives the container's files, and hostile archives bring nothing",
    async (slipway) => {
      const { directory } = slipway;
      context(slipway);
      await slipway.run(["build", "-q", "-f", "-", "-o", "type=tar,dest=root.tar", "."], {
        input: "FROM alpine\nCOPY a /here\n",
      });
      const id = await slipway.text("import", "-c", 'CMD ["cat","/here"]', "-m", "mine", "root.tar", "imported:1");
      expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
      expect(await slipway.text("history", "--no-trunc", "imported:1")).toContain("mine");
      expect(await slipway.text("run", "--name", "cat", "imported:1")).toBe("a");
      await slipway.run(["export", "-o", "c.tar", "cat"]);
      expect(sh(directory, "tar xOf c.tar here; tar tf c.tar | grep -c '^bin/busybox$'")).toBe("a1");
      await slipway.run(["rm", "cat"]);

      const entry = { Config: "c.json", RepoTags: ["evil:1"], Layers: ["l.tar"] };
      const config = { architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [sha256("other")] } };
      const archive = (files: Record<string, string | Uint8Array>): Uint8Array =>
        makeTar(Object.entries(files).map(([path, content]) => ({ path, content })));
      const docker = (more: object, files: Record<string, string | Uint8Array> = {}): Uint8Array =>
        archive({
          "manifest.json": JSON.stringify([{ ...entry, ...more }]),
          "c.json": JSON.stringify(config),
          "l.tar": "x",
          ...files,
        });
      const layout = (descriptor: object): Uint8Array =>
        archive({
          "oci-layout": '{"imageLayoutVersion":"1.0.0"}',
          "index.json": JSON.stringify({ schemaVersion: 2, manifests: [descriptor] }),
          [`blobs/sha256/${"0".repeat(64)}`]: "{}",
        });
      const mediaType = "application/vnd.oci.image.manifest.v1+json";
      for (const [bytes, why] of [
        [docker({}), "TRUNCATED|unpacked|archive"],
        [docker({ Layers: [] }), "gives 0 layers"],
        [docker({ Layers: ["../../../etc/passwd"] }), "holds no"],
        [docker({ RepoTags: ["UPPER:::1"] }), "reference"],
        [
          docker({ Config: `${"1".repeat(64)}.json` }, { [`${"1".repeat(64)}.json`]: JSON.stringify(config) }),
          "is sha256:",
        ],
        [layout({ mediaType, digest: `sha256:${"0".repeat(64)}`, size: 2 }), "content that should be"],
        [layout({ mediaType, digest: "sha256:../../x", size: 2 }), "not a digest"],
        [archive({ x: "" }), "holds no images"],
        [Buffer.from("no tar at all".repeat(100)), "not a valid tar"],
        [Buffer.alloc(0), "empty"],
      ] as const)
        expect((await slipway.run(["load"], { input: bytes, exit: 1 })).stderr).toMatch(new RegExp(why));
      expect(await slipway.text("images", "-q", "evil")).toBe("");
    },
  );
});
