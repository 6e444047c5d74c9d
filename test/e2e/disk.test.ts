import { expect } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { e2e } from "../support/e2e.ts";
import type { Slipway } from "../support/withSlipway.ts";

function write(slipway: Slipway, name: string, text: string): void {
  writeFileSync(join(slipway.directory, name), text);
}

/** Bytes, by blocks. */
function du(...paths: string[]): number {
  const { stdout } = Bun.spawnSync(["du", "-xsc", "-B1", ...paths]);
  return Number(stdout.toString().trim().split("\n").at(-1)?.split("\t")[0]);
}

/** `12.3MB` in bytes. */
function bytes(text: string): number {
  const [, value, unit] = /^([\d.]+)([kMG]?B)/.exec(text) ?? [];
  return Number(value) * ({ B: 1, kB: 1e3, MB: 1e6, GB: 1e9 }[unit as string] ?? Number.NaN);
}

interface DfRow {
  Type: string;
  TotalCount: string;
  Active: string;
  Size: string;
  Reclaimable: string;
}

async function df(slipway: Slipway): Promise<Record<string, DfRow>> {
  const lines = (await slipway.text("system", "df", "--format", "json")).split("\n");
  return Object.fromEntries(lines.map((line) => JSON.parse(line) as DfRow).map((row) => [row.Type, row]));
}

function configure(slipway: Slipway, settings: Record<string, unknown>): void {
  const file = slipway.env.SLIPWAY_CONFIG as string;
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), ...settings }));
}

/** A first stage whose layers only the cache has: holes, hard links, many small files; a cache mount. */
const dockerfile = `FROM busybox AS work
RUN dd if=/dev/urandom of=/big bs=1M count=8 && ln /big /big2 && truncate -s 50M /hole
RUN mkdir /small && for i in $(seq 500); do echo $i > /small/$i; done
RUN --mount=type=cache,target=/var/cache,id=things dd if=/dev/urandom of=/var/cache/thing bs=1M count=4
FROM busybox
VOLUME /data
COPY --from=work /small /small
CMD ["sleep", "1000"]
`;

e2e("system df adds up to what du shows of the store, each file counted in one place", async (slipway) => {
  write(slipway, "Dockerfile", dockerfile);
  await slipway.run(["build", "-t", "app", "."]);
  await slipway.run(["run", "-d", "--name", "web", "app"]);
  await slipway.run([
    "run",
    "--name",
    "ended",
    "app",
    "sh",
    "-c",
    "dd if=/dev/zero of=/data/x bs=1M count=3; dd if=/dev/zero of=/y bs=1M count=2",
  ]);
  await slipway.run(["build", "-t", "other", "-f", "-", "."], {
    input: "FROM busybox\nRUN dd if=/dev/urandom of=/o bs=1M count=5\n",
  });
  await slipway.run(["rmi", "other"]);

  const rows = await df(slipway);
  const sizes = Object.values(rows).map(({ Size }) => bytes(Size));
  const total = sizes.reduce((a, b) => a + b, 0);
  expect(Math.abs(total - du(slipway.root)) / total).toBeLessThan(0.01);
  expect(Object.values(rows).map(({ Type, TotalCount, Active }) => [Type, TotalCount, Active])).toEqual([
    ["Images", "2", "1"],
    ["Containers", "2", "1"],
    ["Local Volumes", "2", "2"],
    ["Build Cache", expect.any(String), "0"],
    ["Records", "2", "0"],
  ]);
  // 8 MB and 4 MB beyond the images, 5 MB of an image that is gone; the hole and the second name are free.
  const cache = bytes(rows["Build Cache"]?.Size ?? "");
  expect(cache).toBeGreaterThan(17 << 20);
  expect(cache).toBeLessThan(23 << 20);
  expect(bytes(rows.Containers?.Reclaimable ?? "")).toBeGreaterThan(2 << 20);
  expect(rows.Images?.Reclaimable).toMatch(/^[\d.]+kB \(0%\)$/);

  expect(await slipway.text("system", "df")).toMatch(/^TYPE +TOTAL +ACTIVE +SIZE +RECLAIMABLE\nImages +2 +1 /);
  const details = await slipway.text("system", "df", "-v");
  for (const part of [
    "Images space usage:",
    "app ",
    "web",
    "Local Volumes space usage:",
    "exec.cachemount",
    "[work 2/4] RUN dd",
  ])
    expect(details).toContain(part);
  const json = JSON.parse(await slipway.text("system", "df", "-v", "--format", "json"));
  expect(json.BuildCache.find((each: { CacheType: string }) => each.CacheType === "exec.cachemount").Description).toBe(
    "things",
  );
});

e2e("maxUsedSpace holds after every build, also one that failed, for all that is beyond images", async (slipway) => {
  configure(slipway, { maxUsedSpace: "20MB" });
  const cacheOnDisk = async (): Promise<number> => {
    const images = new Set(
      (
        JSON.parse(await slipway.text("image", "inspect", ...(await slipway.text("images", "-q")).split("\n"))) as {
          RootFS: { Layers: string[] };
        }[]
      ).flatMap((image) => image.RootFS.Layers.map((diffID) => diffID.slice("sha256:".length))),
    );
    const list = (part: string) => new Bun.Glob("*").scanSync({ cwd: join(slipway.root, part), onlyFiles: false });
    const layers = [...list("layers")]
      .filter((hex) => !images.has(hex))
      .map((hex) => join(slipway.root, "layers", hex));
    return du(...layers, join(slipway.root, "caches"), join(slipway.root, "contexts"));
  };
  for (let i = 0; i < 5; i++) {
    write(
      slipway,
      "Dockerfile",
      `FROM busybox AS work
RUN --mount=type=cache,target=/c,id=c${i % 2} dd if=/dev/urandom of=/c/${i} bs=1M count=3; dd if=/dev/urandom of=/${i} bs=1M count=6
FROM busybox
COPY --from=work /${i} /
RUN echo ${i} ${i === 3 ? "&& exit 3" : ""}
`,
    );
    await slipway.run(["build", "-t", `app${i}`, "."], { exit: i === 3 ? 1 : 0 });
    expect(await cacheOnDisk()).toBeLessThanOrEqual(20e6);
  }
  // What is left is the latest: the last build finds its own.
  expect((await slipway.run(["build", "--fail-on-miss", "."])).exitCode).toBe(0);
  expect(await cacheOnDisk()).toBeGreaterThan(6e6);
  // A bad value is one clear error, whatever the command.
  configure(slipway, { maxUsedSpace: "lots" });
  expect((await slipway.run(["images"], { exit: 1 })).stderr).toContain(
    '"maxUsedSpace" must be a size like "10GB" or "20%", not "lots"',
  );
  configure(slipway, { maxUsedSpace: undefined });
});
