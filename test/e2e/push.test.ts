import { expect } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { busyboxImage } from "../../scripts/lib/busyboxImage.mjs";
import { pushImage } from "../../scripts/lib/pushImage.mjs";
import { withRegistry } from "../support/dockerRegistry.ts";
import { e2e } from "../support/e2e.ts";
import { sh } from "../support/shell.ts";
import { startTokenRegistry } from "../support/tokenRegistry.ts";

e2e("a built image goes up beside its mounted base, skopeo reads it, and it comes back the same", (slipway) =>
  withRegistry(async (registry) => {
    const base = await pushImage(registry.url, "team/base", "1", { ...busyboxImage(), docker: true });
    writeFileSync(join(slipway.directory, "f"), "x".repeat(100_000));
    const name = `${registry.host}/team/app`;
    const dockerfile = `FROM ${registry.host}/team/base:1\nCOPY f /f\nRUN echo made > /made\nCMD cat /made`;
    const built = await slipway.run(["build", "-t", `${name}:a`, "-t", `${name}:b`, "--push", "-f", "-", "."], {
      input: dockerfile,
    });
    expect(built.stderr).toContain(`pushing manifest for ${name}:a`);
    expect(built.stderr).toContain("mounted");

    const again = await slipway.run(["push", "-a", name]);
    const lines = again.stdout.trim().split("\n");
    expect(lines[0]).toBe(`The push refers to repository [${name}]`);
    expect(lines.filter((line) => line.endsWith(": Layer already exists"))).toHaveLength(3);
    expect(lines.at(-1)).toMatch(/^b: digest: sha256:[0-9a-f]{64} size: \d+$/);
    const digest = /sha256:[0-9a-f]{64}/.exec(lines.at(-1) as string)?.[0] as string;

    const raw = sh("/", `skopeo inspect --raw --tls-verify=false docker://${name}:b`);
    expect(`sha256:${Bun.SHA256.hash(raw, "hex")}`).toBe(digest);
    sh("/", `skopeo copy -q --src-tls-verify=false docker://${name}:b dir:${slipway.directory}/out`);
    expect(JSON.parse(await slipway.text("image", "inspect", `${name}:b`))[0].RepoDigests).toEqual([
      `${name}@${digest}`,
    ]);

    const id = await slipway.text("images", "-q", "--no-trunc", `${name}:b`);
    await slipway.run(["rmi", "-f", id]);
    await slipway.run(["pull", `${name}:b`]);
    expect(await slipway.text("images", "-q", "--no-trunc", `${name}:b`)).toBe(id);
    expect(await slipway.text("run", "--rm", `${name}:b`)).toBe("made");

    // A pulled image keeps every digest, in whatever form it came.
    const elsewhere = `${registry.host}/other/base:2`;
    await slipway.run(["tag", `${registry.host}/team/base:1`, elsewhere]);
    const quiet = await slipway.run(["push", "-q", elsewhere]);
    expect(quiet.stdout).toBe(`${elsewhere}\n`);
    const inspected = JSON.parse(sh("/", `skopeo inspect --tls-verify=false docker://${elsewhere}`));
    expect(inspected.Digest).toBe(base.digest);

    await slipway.run(["rmi", "-f", `${name}:b`]);
    const both = await slipway.run(["pull", "-a", name]);
    expect(both.stdout).toContain(`Status: Downloaded newer image for ${name}:a\n`);
    expect(both.stdout).toEndWith(`for ${name}:b\n${name}\n`);
    await slipway.run(["pull", "-a", `${name}:a`], { exit: 1 });

    const missing = await slipway.run(["push", `${registry.host}/none:1`], { exit: 1 });
    expect(missing.stderr).toContain(`An image does not exist locally with the tag: ${registry.host}/none:1`);
    const foreign = await slipway.run(["push", "--platform", "linux/s390x", elsewhere], { exit: 1 });
    expect(foreign.stderr).toContain("does not provide the specified platform (linux/s390x)");
  }),
);

e2e("a push asks for a token that allows it and, for a mount, the reading of the other repository", (slipway) =>
  withRegistry(async (registry) => {
    const front = startTokenRegistry(registry.url);
    try {
      await pushImage(registry.url, "team/base", "1", busyboxImage());
      const from = `${front.host}/team/base:1`;
      await slipway.run(["pull", from]);
      await slipway.run(["tag", from, `${front.host}/team/app:1`]);
      const { stdout } = await slipway.run(["push", `${front.host}/team/app:1`]);
      expect(stdout).toContain("Mounted from team/base");
      expect(front.scopes).toEqual([
        "repository:team/base:pull",
        "repository:team/app:pull,push",
        "repository:team/app:pull,push repository:team/base:pull",
      ]);
      expect(front.leaks).toEqual([]);
    } finally {
      front.stop();
    }
  }),
);

e2e(
  "a layer that was here in another form is taken from where the image came from, so that every digest stays",
  (slipway) =>
    withRegistry((registry) =>
      withRegistry(async (second) => {
        await pushImage(registry.url, "gzip", "1", busyboxImage());
        const from = `${registry.host}/gzip:1`;
        const zstd = `${registry.host}/zstd:1`;
        const copy = "skopeo copy -q --src-tls-verify=false --dest-tls-verify=false";
        sh("/", `${copy} -f oci --dest-compress-format zstd docker://${from} docker://${zstd}`);
        const raw = (name: string) => sh("/", `skopeo inspect --raw --tls-verify=false docker://${name}`);
        expect(raw(zstd)).toContain("tar+zstd");
        for (const name of [from, zstd]) await slipway.run(["pull", name]);
        await slipway.run(["tag", zstd, `${second.host}/zstd:1`]);
        await slipway.run(["push", `${second.host}/zstd:1`]);
        expect(raw(`${second.host}/zstd:1`)).toBe(raw(zstd));
      }),
    ),
);
