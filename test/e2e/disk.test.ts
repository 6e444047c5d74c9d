import { expect } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
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
  const [latest] = (await slipway.text("builds", "--format", "{{.ID}}")).split("\n") as [string];
  expect(await slipway.text("builds", "rm", latest)).toBe(latest);
  expect((await slipway.run(["builds", "rm", latest], { exit: 1 })).stderr).toContain(`no such build: ${latest}`);
  await slipway.run(["builds", "rm", "--all"]);
  expect((await df(slipway)).Records?.TotalCount).toBe("0");

  const json = JSON.parse(await slipway.text("system", "df", "-v", "--format", "json"));
  expect(json.BuildCache.find((each: { CacheType: string }) => each.CacheType === "exec.cachemount").Description).toBe(
    "cache mount things",
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
    return du(...layers, join(slipway.root, "caches"), join(slipway.root, "contexts"), join(slipway.root, "trees"));
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

e2e(
  "the prune commands ask as docker does, take what nothing uses, and say what they took and how much it was",
  async (slipway) => {
    write(slipway, "Dockerfile", dockerfile);
    await slipway.run(["build", "-t", "app", "."]);
    await slipway.run(["run", "-d", "--name", "web", "app"]);
    await slipway.run(["run", "--name", "ended", "--label", "keep=no", "-v", "named:/n", "app", "true"]);
    await slipway.run(["build", "-t", "spare", "-"], {
      input: "FROM busybox\nLABEL keep=yes\nRUN dd if=/dev/urandom of=/o bs=1M count=5\n",
    });
    const names = async (...args: string[]) => (await slipway.text(...args)).split("\n").filter((line) => line !== "");

    // Without a yes nothing happens.
    const asked = await slipway.run(["container", "prune"], { input: "n\n" });
    expect(asked.stdout).toBe(
      "WARNING! This will remove all stopped containers.\nAre you sure you want to continue? [y/N] ",
    );
    expect((await slipway.run(["system", "prune", "-a", "--filter", "label=keep"])).stdout).toBe(
      `WARNING! This will remove:
  - all stopped containers
  - all networks not used by at least one container
  - all images without at least one container associated to them

  Items to be pruned will be filtered with:
  - label=keep

Are you sure you want to continue? [y/N] `,
    );
    expect(await names("ps", "-aq")).toHaveLength(2);

    const [ended] = await names("ps", "-aq", "--no-trunc", "--filter", "name=ended");
    expect((await slipway.run(["container", "prune", "-f", "--filter", "label!=keep"])).stdout).toBe(
      "Total reclaimed space: 0B\n",
    );
    const containers = await slipway.run(["container", "prune", "--filter", "label=keep=no"], { input: "y\n" });
    expect(containers.stdout).toMatch(
      new RegExp(`\\? \\[y/N\\] Deleted Containers:\\n${ended}\\n\\nTotal reclaimed space: [\\d.]+kB\\n$`),
    );

    // The image's VOLUME of the container that went has no name; the other one has.
    const volumes = await slipway.run(["volume", "prune", "-f"]);
    expect(volumes.stdout).toMatch(/^Deleted Volumes:\n[0-9a-f]{64}\n\nTotal reclaimed space: /);
    expect((await slipway.run(["volume", "prune", "-f", "-a"])).stdout).toStartWith("Deleted Volumes:\nnamed\n\n");

    expect((await slipway.run(["image", "prune", "-f"])).stdout).toBe("Total reclaimed space: 0B\n");
    // Made in 2024; the others just now.
    expect((await slipway.run(["image", "prune", "-af", "--filter", "until=1h"])).stdout).toMatch(
      /^Deleted Images:\nuntagged: busybox:latest\nuntagged: busybox@sha256:.*\ndeleted: sha256:.*\n\nTotal/,
    );
    const images = (await slipway.run(["image", "prune", "-af", "--filter", "label=keep"])).stdout;
    expect(images).toMatch(
      /^Deleted Images:\nuntagged: spare:latest\ndeleted: sha256:[0-9a-f]{64}\n\nTotal reclaimed space: [\d.]+kB\n$/,
    );
    expect(await names("images", "-q")).toHaveLength(1);

    // The layer of that image is the cache's now: it goes where the limit wants it, after what was used before it.
    const before = bytes((await df(slipway))["Build Cache"]?.Size ?? "");
    const some = await slipway.run(["builder", "prune", "-f", "--keep-storage", "6MB"]);
    const after = bytes((await df(slipway))["Build Cache"]?.Size ?? "");
    const freed = bytes(/Total reclaimed space: (.*)\n$/.exec(some.stdout)?.[1] ?? "");
    expect(after).toBeLessThanOrEqual(6e6);
    expect(after).toBeGreaterThan(5e6);
    expect(Math.abs(before - after - freed)).toBeLessThan(before / 100);
    expect(await slipway.text("builder", "du")).toMatch(/regular +5\.\d+MB .*\n(.*\n)*Reclaimable: 5\.\d+MB\nTotal: /);
    expect((await slipway.run(["builder", "prune", "-f", "--filter", "until=1h"])).stdout).toBe(
      "Total reclaimed space: 0B\n",
    );
    expect((await slipway.run(["builder", "prune", "--keep-storage", "much"], { exit: 1 })).stderr).toContain(
      'invalid argument "much" for --keep-storage',
    );

    // The image that a container uses stays, and so do its steps in the cache until all of it is to go.
    expect((await slipway.run(["build", "--target", "work", "--fail-on-miss", "."], { exit: 1 })).stderr).toContain(
      "not in the cache",
    );
    await slipway.run(["rm", "-f", "web"]);
    const all = (await slipway.run(["system", "prune", "-af", "--volumes"])).stdout;
    for (const part of ["Deleted Volumes:", "Deleted Images:", "untagged: app:latest", "Deleted build cache objects:"])
      expect(all).toContain(part);
    const rows = await df(slipway);
    expect(
      Object.values(rows)
        .map(({ Type, TotalCount, Size }) => [Type, TotalCount, Size])
        .slice(0, 4),
    ).toEqual([
      ["Images", "0", "0B"],
      ["Containers", "0", "0B"],
      ["Local Volumes", "0", "0B"],
      ["Build Cache", "0", "0B"],
    ]);
    expect(du(join(slipway.root, "layers"), join(slipway.root, "blobs"), join(slipway.root, "caches"))).toBeLessThan(
      100_000,
    );
  },
);

e2e(
  "cache mounts are listed, exported, imported and removed by their ids, and none that a running build uses",
  async (slipway) => {
    write(
      slipway,
      "Dockerfile",
      `FROM busybox
RUN --mount=type=cache,target=/npm mkdir -p /npm/a/b && echo packed > /npm/a/b/f && ln -s b /npm/a/l && ln /npm/a/b/f /npm/hard && chown 7:8 /npm/a && touch -d 2001-01-01 /npm/a/b/f
RUN --mount=type=cache,id=shared,sharing=locked,target=/s dd if=/dev/zero of=/s/x bs=1k count=100
RUN --mount=type=cache,id=owned,uid=5,target=/o touch /o/x
`,
    );
    await slipway.run(["build", "."]);
    write(
      slipway,
      "busy",
      "FROM busybox\nRUN --mount=type=cache,id=busy,target=/b touch /b/began; while [ ! -e /b/go ]; do sleep 0.05; done\n",
    );
    const running = slipway.run(["build", "-f", "busy", "."]);
    const row = async (id: string) => {
      const { stdout } = await slipway.run(["cache", "ls", "--format", "json"]);
      return stdout
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line))
        .find((each) => each.ID === id);
    };
    let busy = await row("busy");
    while (busy === undefined || !existsSync(join(slipway.root, "caches", busy.Name, "began")))
      busy = await row("busy");
    expect(busy.InUse).toBe("true");
    expect(await row("shared")).toMatchObject({
      Sharing: "locked",
      InUse: "false",
      Size: expect.stringMatching(/^1\d\d(\.\d)?kB$/),
    });
    expect(await slipway.text("cache", "ls")).toMatch(/^ID +SHARING +SIZE +CREATED +LAST USED +IN USE +NAME\n/);
    expect(await slipway.text("cache", "du")).toMatch(/\nTotal: 1\d\d\.\d+kB$/);

    // Out, away, and in again: with links, owners, modes and times.
    const tar = join(slipway.directory, "npm.tar");
    await slipway.run(["cache", "export", "--id", "/npm", "-o", tar]);
    const listed = Bun.spawnSync(["tar", "-tvf", tar, "--numeric-owner", "--full-time"]).stdout.toString();
    expect(listed).toMatch(/^drwxr-xr-x 7\/8 .* a\/$/m);
    expect(listed).toMatch(/2001-01-01 .* a\/b\/f$/m);
    expect(listed).toContain("hard link to a/b/f");
    await slipway.run(["cache", "export", "--id", "/npm", "--compress", "zstd", "-o", `${tar}.zst`]);
    expect([...readFileSync(`${tar}.zst`).subarray(0, 4)]).toEqual([0x28, 0xb5, 0x2f, 0xfd]);
    expect((await slipway.run(["cache", "export", "--id", "busy", "-o", tar], { exit: 1 })).stderr).toContain(
      "in use by a running build",
    );
    expect((await slipway.run(["cache", "import", "--id", "busy", `${tar}.zst`], { exit: 1 })).stderr).toContain(
      "in use by a running build",
    );

    const gone = (await slipway.run(["cache", "prune", "-f", "--id", "/npm", "--id", "busy"])).stdout;
    expect(gone).toMatch(/^Deleted cache mounts:\n\/npm \([0-9a-f]{32}\)\n\nTotal reclaimed space: [\d.]+kB\n$/);
    expect(await row("/npm")).toBeUndefined();
    await slipway.run(["builder", "prune", "-af"]);
    expect((await slipway.run(["cache", "ls", "-q"])).stdout).toBe("busy\n");
    writeFileSync(join(slipway.root, "caches", busy.Name, "go"), "");
    expect((await running).exitCode).toBe(0);

    await slipway.run(["cache", "import", "--id", "/npm", `${tar}.zst`]);
    await slipway.run(["cache", "import", "--id", "owned", "--uid", "5"], { input: readFileSync(tar) });
    write(
      slipway,
      "Dockerfile",
      `FROM busybox
RUN --mount=type=cache,target=/npm [ "$(cat /npm/a/l/f)" = packed ] && [ "$(stat -c '%u:%g %h %U' /npm/a /npm/hard /npm | tr '\\n' ,)" = "7:8 3 UNKNOWN,0:0 2 root,0:0 3 root," ]
RUN --mount=type=cache,id=owned,uid=5,target=/o [ -e /o/hard ] && [ "$(stat -c %u /o)" = 5 ]
`,
    );
    await slipway.run(["build", "."]);

    // What reaches outside lands inside; what is no archive changes nothing.
    const hostile = Bun.spawnSync([
      "tar",
      "-cPf",
      "-",
      "--transform",
      "s,^,../../,",
      "-C",
      slipway.directory,
      "busy",
    ]).stdout;
    await slipway.run(["cache", "import", "--id", "hostile"], { input: hostile });
    expect(readdirSync(join(slipway.root, "caches", (await row("hostile")).Name))).toEqual(["busy"]);
    expect(existsSync(join(slipway.root, "busy"))).toBe(false);
    expect(
      (await slipway.run(["cache", "import", "--id", "/npm"], { input: "no tar at all", exit: 1 })).stderr,
    ).not.toBe("");
    const again = await slipway.run(["cache", "export", "--id", "/npm", "-o", `${tar}.2`]);
    expect(again.exitCode).toBe(0);
    expect(readFileSync(`${tar}.2`).equals(readFileSync(tar))).toBe(true);
    expect((await slipway.run(["cache", "export", "--id", "none", "-o", tar], { exit: 1 })).stderr).toContain(
      "no such cache mount: none",
    );
  },
);

e2e("builds and containers go on beside prunes that take all they can", async (slipway) => {
  write(slipway, "file", "x");
  for (const name of ["a", "b"])
    write(
      slipway,
      `${name}.Dockerfile`,
      `FROM busybox AS work
COPY file /${name}
RUN --mount=type=cache,target=/c echo ${name} >> /c/log && echo made > /made
FROM busybox
COPY --from=work /made /${name} /out/
RUN --mount=from=work,target=/w cat /w/made /out/${name} > /both
`,
    );
  let building = true;
  const prune = async (): Promise<void> => {
    while (building) {
      await slipway.run(["system", "prune", "-af", "--volumes"]);
      await Bun.sleep(Math.random() * 100);
    }
  };
  const build = async (name: string): Promise<void> => {
    for (let i = 0; i < 2; i++) {
      await slipway.run(["build", "-t", name, "-f", `${name}.Dockerfile`, ...(i === 1 ? ["--no-cache"] : []), "."]);
      // The image is pruned between two commands, never under one.
      const { exitCode, stdout, stderr } = await slipway.run(["run", "--rm", "--pull", "never", name, "cat", "/both"], {
        exit: "any",
      });
      if (exitCode === 0) expect(stdout).toBe("made\nx");
      else expect(stderr).toMatch(/no such image|removed the image meanwhile/i);
    }
  };
  const pruning = prune();
  await Promise.all([build("a"), build("b")]).finally(() => {
    building = false;
  });
  await pruning;
  await slipway.run(["system", "prune", "-af", "--volumes"]);
  for (const part of ["layers", "blobs/sha256", "caches", "tmp", "volumes"])
    expect(readdirSync(join(slipway.root, part))).toEqual([]);
});
