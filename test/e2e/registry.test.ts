import { expect } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { busyboxImage } from "../../scripts/lib/busyboxImage.mjs";
import { pushImage, pushIndex } from "../../scripts/lib/pushImage.mjs";
import { writeTar } from "../../scripts/lib/writeTar.mjs";
import { withRegistry } from "../support/dockerRegistry.ts";
import { e2e } from "../support/e2e.ts";
import { startTokenRegistry } from "../support/tokenRegistry.ts";
import type { Slipway } from "../support/withSlipway.ts";

const script = 'echo "$(cat /layers/*)"';

/** busybox below `count` small layers, each with one file, the later ones also with a whiteout for the first's. */
function layered(count: number, text: string) {
  const base = busyboxImage();
  const more = Array.from({ length: count }, (_, index) =>
    writeTar([
      { path: "layers", directory: true },
      { path: `layers/${index}`, content: `${text} ${index}\n` },
      ...(index === 1 ? [{ path: "layers/.wh.0" }] : []),
    ]),
  );
  return { ...base, layers: [...base.layers, ...more], config: { ...base.config, Cmd: ["sh", "-c", script] } };
}

function useMirror(slipway: Slipway, url: string): void {
  writeFileSync(slipway.env.SLIPWAY_CONFIG!, JSON.stringify({ registries: { "docker.io": { mirrors: [url] } } }));
}

e2e("an image of many layers is pulled by tag and by digest, and its layers lie in their order", (slipway) =>
  withRegistry(async (registry) => {
    const pushed = await pushImage(registry.url, "team/layered", "1.0", layered(12, "layer"));
    const name = `${registry.host}/team/layered`;
    const { stdout, stderr } = await slipway.run(["pull", `${name}:1.0`]);
    expect(stdout + stderr).toContain(pushed.digest);
    expect(stdout).toContain(`${name}:1.0`);
    const expected = [1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9].map((index) => `layer ${index}`).join("\n");
    expect(await slipway.text("run", "--rm", `${name}:1.0`)).toBe(expected);
    expect(await slipway.text("run", "--rm", `${name}@${pushed.digest}`)).toBe(expected);

    const again = await slipway.run(["pull", `${name}@${pushed.digest}`]);
    expect(again.stdout + again.stderr).toMatch(/up to date/);
    const [image] = JSON.parse(await slipway.text("image", "inspect", `${name}:1.0`));
    expect(image.Id).toBe(pushed.imageID);
    expect(image.RootFS.Layers).toEqual(pushed.diffIDs);
    expect(image.RepoDigests).toEqual([`${name}@${pushed.digest}`]);
  }),
);

for (const docker of [false, true]) {
  e2e(
    `of ${docker ? "a Docker manifest list" : "an OCI index"} this machine's platform is taken, or the one that is asked for`,
    (slipway) =>
      withRegistry(async (registry) => {
        const own = process.arch === "arm64" ? "arm64" : "amd64";
        const other = own === "amd64" ? "arm64" : "amd64";
        const image = (architecture: string) =>
          pushImage(registry.url, "multi", architecture, {
            ...layered(1, architecture),
            docker,
            platform: { os: "linux", architecture },
          });
        const manifests = [await image(other), await image("s390x"), await image(own)];
        const index = await pushIndex(registry.url, "multi", "latest", manifests, { docker });
        const name = `${registry.host}/multi`;

        await slipway.run(["pull", name]);
        expect(await slipway.text("run", "--rm", name)).toBe(`${own} 0`);
        const [own_] = JSON.parse(await slipway.text("image", "inspect", name));
        expect(own_.Id).toBe(manifests[2]!.imageID);
        expect(own_.RepoDigests).toEqual([`${name}@${index.digest}`]);

        await slipway.run(["pull", "--platform", `linux/${other}`, name]);
        const architecture = ["image", "inspect", "--format", "{{.Architecture}}", name];
        expect(await slipway.text(...architecture, "--platform", `linux/${other}`)).toBe(other);
        // The name keeps the other platform's image, which is the one for this machine.
        expect(await slipway.text(...architecture)).toBe(own);
        const missing = await slipway.run(["pull", "--platform", "linux/riscv64", name], { exit: 1 });
        expect(missing.stderr).toContain("linux/riscv64");
      }),
  );
}

e2e(
  "alpine, library/alpine and docker.io/library/alpine:latest are one name, which the mirror answers for",
  async (slipway) => {
    await slipway.run(["pull", "alpine"]);
    const id = await slipway.text("images", "-q", "--no-trunc");
    for (const name of [
      "library/alpine",
      "docker.io/alpine:latest",
      "docker.io/library/alpine:latest",
      "index.docker.io/library/alpine",
    ])
      expect(await slipway.text("image", "inspect", "--format", "{{.Id}} {{index .RepoTags 0}}", name)).toBe(
        `${id} alpine:latest`,
      );
    expect(await slipway.text("images", "--format", "{{.Repository}}:{{.Tag}}")).toBe("alpine:latest");
  },
);

e2e(
  "a token is fetched where a 401 says so, for the repository only, and not sent on to the storage host",
  async (slipway) => {
    const front = startTokenRegistry(slipway.hub.url);
    try {
      useMirror(slipway, front.url);
      expect(await slipway.text("run", "--rm", "alpine", "echo", "pulled")).toBe("pulled");
      expect(front.scopes.every((scope) => scope === "repository:library/alpine:pull")).toBe(true);
      expect(front.scopes.length).toBeGreaterThan(0);
      expect(front.granted.some((line) => /^(GET|HEAD) \/v2\/library\/alpine\/manifests\/latest$/.test(line))).toBe(
        true,
      );
      expect(front.leaks).toEqual([]);
    } finally {
      front.stop();
    }
  },
);

e2e("a mirror that is down is passed over for the next", async (slipway) => {
  writeFileSync(
    slipway.env.SLIPWAY_CONFIG!,
    JSON.stringify({ registries: { "docker.io": { mirrors: ["http://127.0.0.1:9", slipway.hub.url] } } }),
  );
  expect(await slipway.text("run", "--rm", "alpine", "echo", "pulled")).toBe("pulled");
});

e2e("two processes that pull the same image at once both end well, with one copy in the store", async (slipway) => {
  const results = await Promise.all([slipway.run(["pull", "alpine"]), slipway.run(["pull", "alpine"])]);
  expect(results.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
  expect((await slipway.text("images", "-q")).split("\n")).toHaveLength(1);
  expect(
    await Array.fromAsync(new Bun.Glob("*/fs").scan({ cwd: join(slipway.root, "layers"), onlyFiles: false })),
  ).toHaveLength(1);
});
