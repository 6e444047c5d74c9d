import { expect } from "bun:test";
import { busyboxImage } from "../../scripts/lib/busyboxImage.mjs";
import { pushImage } from "../../scripts/lib/pushImage.mjs";
import { withRegistry } from "../support/dockerRegistry.ts";
import { e2e } from "../support/e2e.ts";
import { sh } from "../support/shell.ts";

const own = process.arch === "arm64" ? "arm64" : "amd64";
const other = own === "amd64" ? "arm64" : "amd64";

e2e("images of several platforms become one, from repositories and registries that need not be the same", (slipway) =>
  withRegistry((registry) =>
    withRegistry(async (second) => {
      const image = (architecture: string, to = registry, docker = false) =>
        pushImage(to.url, `parts/${architecture}`, "1", {
          ...busyboxImage(),
          docker,
          platform: { os: "linux", architecture },
        });
      const mine = await image(own);
      const foreign = await image(other, second);
      const riscv = await image("riscv64", registry, true);
      const part = (architecture: string, { host } = registry) => `${host}/parts/${architecture}:1`;
      const app = `${registry.host}/app`;
      const skopeo = (what: string) =>
        JSON.parse(sh("/", `skopeo inspect ${what} --tls-verify=false docker://${app}:1`));

      const created = await slipway.run([
        "imagetools",
        "create",
        "-t",
        `${app}:1`,
        "-t",
        `${app}:latest`,
        part(own),
        part(other, second),
      ]);
      const digest = /sha256:[0-9a-f]{64}/.exec(created.stderr)?.[0] as string;
      const index = skopeo("--raw");
      expect(index.mediaType).toBe("application/vnd.oci.image.index.v1+json");
      expect(index.manifests).toEqual([
        {
          mediaType: mine.mediaType,
          digest: mine.digest,
          size: mine.size,
          platform: { os: "linux", architecture: own },
        },
        {
          mediaType: foreign.mediaType,
          digest: foreign.digest,
          size: foreign.size,
          platform: { os: "linux", architecture: other },
        },
      ]);
      for (const architecture of [own, other])
        sh(
          "/",
          `skopeo copy -q --override-arch ${architecture} --src-tls-verify=false docker://${app}:latest dir:${slipway.directory}/${architecture}`,
        );
      await slipway.run(["run", "--rm", `${app}:1`, "true"]);

      await slipway.run([
        "buildx",
        "imagetools",
        "create",
        "--append",
        "-t",
        `${app}:1`,
        part("riscv64"),
        "--annotation",
        "index:k=v",
      ]);
      expect(skopeo("--raw")).toMatchObject({ annotations: { k: "v" }, manifests: { length: 3 } });
      const inspected = await slipway.text("imagetools", "inspect", `${app}:1`);
      expect(inspected).toContain(`Name:      ${app}:1\n`);
      expect(inspected).toContain(`  Name:        ${app}@${riscv.digest}\n`);
      expect(inspected).toContain("  Platform:    linux/riscv64");
      expect(
        await slipway.text(
          "imagetools",
          "inspect",
          "--format",
          `{{(index .Image "linux/${other}").architecture}}`,
          `${app}:1`,
        ),
      ).toBe(other);
      // One source that is an index is copied as it is, also to another registry.
      await slipway.run(["imagetools", "create", "-t", `${second.host}/copy:1`, `${app}:latest`]);
      expect(
        await slipway.text("imagetools", "inspect", "--format", "{{.Manifest.digest}}", `${second.host}/copy:1`),
      ).toBe(digest);
      const dry = await slipway.text("imagetools", "create", "--dry-run", part(own), part(own));
      expect(JSON.parse(dry).manifests).toHaveLength(1);

      // Docker's way: a list is made, changed and pushed.
      const list = `${registry.host}/list:1`;
      expect(await slipway.text("manifest", "create", list, part("riscv64"))).toBe(`Created manifest list ${list}`);
      await slipway.run(["manifest", "create", list, part(own)], { exit: 1 });
      await slipway.run(["manifest", "create", "--amend", list, part(other, second)]);
      await slipway.run(["manifest", "annotate", "--variant", "v9", "--os-version", "1", list, part(other, second)]);
      const draft = JSON.parse(await slipway.text("manifest", "inspect", list));
      expect(draft.manifests[1].platform).toEqual({
        os: "linux",
        architecture: other,
        variant: "v9",
        "os.version": "1",
      });
      const pushed = await slipway.text("manifest", "push", "--purge", list);
      const raw = sh("/", `skopeo inspect --raw --tls-verify=false docker://${list}`);
      expect(JSON.parse(raw)).toEqual(draft);
      expect(`sha256:${Bun.SHA256.hash(raw, "hex")}`).toBe(pushed);
      expect((await slipway.run(["manifest", "rm", list], { exit: 1 })).stderr).toContain(`No such manifest: ${list}`);
      expect(JSON.parse(await slipway.text("manifest", "inspect", list))).toEqual(draft);
      const verbose = JSON.parse(await slipway.text("manifest", "inspect", "-v", part(own)));
      expect(verbose).toMatchObject({
        Ref: `${registry.host}/parts/${own}@${mine.digest}`,
        Manifest: { schemaVersion: 2 },
      });
    }),
  ),
);
