import { expect } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { busyboxImage } from "../../scripts/lib/busyboxImage.mjs";
import { pushImage } from "../../scripts/lib/pushImage.mjs";
import { writeTar } from "../../scripts/lib/writeTar.mjs";
import { type ChaosProxy, startChaosProxy } from "../support/chaosProxy.ts";
import { withRegistry } from "../support/dockerRegistry.ts";
import { e2e } from "../support/e2e.ts";
import { sh } from "../support/shell.ts";
import type { Slipway } from "../support/withSlipway.ts";

/** Bytes that no compressor makes smaller. */
const noise = (length: number): Buffer => Buffer.from(crypto.getRandomValues(new Uint8Array(length)));

async function moved(proxy: ChaosProxy, work: () => Promise<unknown>): Promise<number> {
  const before = proxy.bytes.up + proxy.bytes.down;
  await work();
  return proxy.bytes.up + proxy.bytes.down - before;
}

function buildAndPush(slipway: Slipway, name: string, dockerfile: string, args: string[] = []) {
  return slipway.run(["build", "--progress=plain", "-t", name, ...args, "-f", "-", "."], { input: dockerfile });
}

e2e(
  "a base whose files no step needs is not downloaded: a push moves what is new, and what the other registry lacks",
  (slipway) =>
    withRegistry((registry) =>
      withRegistry(async (other) => {
        const proxy = await startChaosProxy(registry.host, { seed: 1, rate: 0 });
        const second = await startChaosProxy(other.host, { seed: 1, rate: 0 });
        try {
          const image = busyboxImage();
          const big = writeTar([{ path: "big", content: noise(60_000).toString("base64") }]);
          const bytes = 60_000;
          const base = await pushImage(registry.url, "team/base", "1", {
            ...image,
            layers: [...image.layers, big, big],
          });
          writeFileSync(join(slipway.directory, "app"), noise(500));
          const from = `FROM ${proxy.host}/team/base:1\n`;
          const metadata = `${from}COPY --link app /srv/app\nENV A=b\nCMD ["cat", "/big"]`;
          const name = `${proxy.host}/team/app:1`;

          const first = await moved(proxy, () => buildAndPush(slipway, name, metadata, ["--push"]));
          expect(first).toBeLessThan(20_000);
          expect(await slipway.text("images", "-q")).toBe("");
          const manifest = JSON.parse(
            sh("/", `skopeo inspect --raw --tls-verify=false docker://${registry.host}/team/app:1`),
          );
          const baseManifest = JSON.parse(
            sh("/", `skopeo inspect --raw --tls-verify=false docker://${registry.host}/team/base:1`),
          );
          expect(manifest.layers.slice(0, -1)).toEqual(baseManifest.layers);
          const config = JSON.parse(
            sh("/", `skopeo inspect --config --tls-verify=false docker://${registry.host}/team/app:1`),
          );
          expect(config.rootfs.diff_ids.slice(0, -1)).toEqual(base.diffIDs);

          // To a registry that has none of it the base goes through, and is still not unpacked here.
          const elsewhere = `${second.host}/app:1`;
          const through = await moved(second, () =>
            buildAndPush(slipway, elsewhere, metadata, ["-o", `type=registry,name=${elsewhere}`]),
          );
          expect(through).toBeGreaterThan(bytes);
          expect(await slipway.text("images", "-q")).toBe("");
          await slipway.run(["pull", "-q", elsewhere]);
          expect((await slipway.text("run", "--rm", elsewhere)).length).toBe(80_000);

          // A step that needs files brings them, once, and the image is then here under its name.
          const run = `${metadata}\nRUN cat /srv/app > /copy`;
          await slipway.run(["rmi", "-f", elsewhere]);
          const log = await buildAndPush(slipway, `${proxy.host}/team/app:2`, run, ["--push"]);
          expect(log.stderr).toContain(`[internal] pull ${proxy.host}/team/base:1`);
          expect((await slipway.text("images", "--format", "{{.Repository}}:{{.Tag}}")).split("\n").sort()).toEqual([
            `${proxy.host}/team/app:2`,
            `${proxy.host}/team/base:1`,
          ]);
          expect(log.stderr).not.toContain("because");
          // COPY goes through links of the base: it brings the base, once, and --explain says what would not.
          await slipway.run(["rmi", "-f", `${proxy.host}/team/app:2`, `${proxy.host}/team/base:1`]);
          const plain = `${from}COPY app /srv/app\nCMD ["cat", "/big"]`;
          let told = "";
          const brought = await moved(proxy, async () => {
            told = (await buildAndPush(slipway, `${proxy.host}/team/app:4`, plain, ["--push", "--explain"])).stderr;
          });
          expect(told).toMatch(/because: \[2\/2\] COPY app \/srv\/app goes where .* COPY --link needs nothing of it/);
          expect(brought).toBeGreaterThan(bytes);
          // The step's own layer is remembered: the same build needs the base no more.
          await slipway.run(["rmi", "-f", `${proxy.host}/team/app:4`, `${proxy.host}/team/base:1`]);
          const again = await moved(proxy, () =>
            buildAndPush(slipway, `${proxy.host}/team/app:5`, plain, ["--push", "--fail-on-miss"]),
          );
          expect(again).toBeLessThan(20_000);
          // And what wants the image in the store has all of it there.
          await buildAndPush(slipway, `${proxy.host}/team/app:3`, metadata, ["--push", "--load"]);
          expect((await slipway.text("run", "--rm", `${proxy.host}/team/app:3`)).length).toBe(80_000);
        } finally {
          proxy.stop();
          second.stop();
        }
      }),
    ),
);
