import { Database } from "bun:sqlite";
import { expect } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { e2e } from "../support/e2e.ts";
import { writeFiles } from "../support/files.ts";
import { type Slipway, slipwayPath } from "../support/withSlipway.ts";

const marker = "987654";

/** Processes that a build of this store started, by their command lines. */
function processes({ root }: { root: string }): string[] {
  return readdirSync("/proc").flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
      return command.includes(marker) || (command !== "" && command.includes(root)) ? [command] : [];
    } catch {
      return []; // ended just now
    }
  });
}

/** What a build must not leave: processes, mounts, leases and what they protect, temporary files. */
function left(slipway: { root: string }): unknown {
  const database = new Database(join(slipway.root, "slipway.db"), { readonly: true });
  const count = (table: string): unknown =>
    (database.query(`SELECT count(*) AS n FROM ${table}`).get() as { n: number }).n;
  const rows = { leases: count("leases"), items: count("lease_items") };
  database.close();
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const files = readdirSync(slipway.root, { recursive: true }) as string[];
  return {
    processes: processes(slipway),
    mounts: mounts.filter((line) => line.includes(slipway.root)),
    ...rows,
    temporary: files.filter((path) => /^tmp\/|\.part$|^caches\/.*\.part/.test(path)),
  };
}

const nothing = { processes: [], mounts: [], leases: 0, items: 0, temporary: [] };

async function until(condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 20_000; Date.now() < end; await Bun.sleep(10)) if (condition()) return;
  throw new Error(`it did not come to that in 20 s: ${condition}`);
}

function start(slipway: Slipway, args: string[], root = slipway.root): Bun.Subprocess<"ignore", "ignore", "pipe"> {
  return Bun.spawn([slipwayPath, "build", "--progress", "plain", ...args], {
    cwd: slipway.directory,
    env: { ...slipway.env, SLIPWAY_ROOT: root },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
}

e2e("Ctrl-C, SIGTERM and a failure end RUN, ADD, COPY and a pull at once and leave nothing", async (slipway) => {
  let stalled = 0;
  // Gives manifests as the hub does, and of every blob and file the first bytes only.
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname.startsWith("/v2/") && !/\/blobs\/sha256:/.test(pathname))
        return fetch(`${slipway.hub.url}${pathname}`, { headers: request.headers });
      stalled++;
      return new Response(new ReadableStream({ start: (to) => to.enqueue(new Uint8Array(10)) }));
    },
  });
  try {
    const step = (n: number): string =>
      `FROM alpine AS s${n}\nRUN --mount=type=cache,target=/c,sharing=locked,id=c${n} --mount=type=tmpfs,target=/t sleep ${marker}${n}\n`;
    const stages = `${step(1)}${step(2)}FROM alpine AS add\nADD http://127.0.0.1:${server.port}/file /\n`;
    const copies = [1, 2].map((n) => `COPY --from=s${n} /etc /${n}\n`).join("");
    writeFiles(slipway.directory, {
      Dockerfile: `${stages}FROM alpine\n${copies}COPY --from=add /file /\n`,
      "failing/Dockerfile": `${stages}FROM alpine\nRUN --mount=from=alpine,target=/a sleep 2; exit 3\n${copies}COPY --from=add /file /\n`,
      "pull/Dockerfile": `FROM 127.0.0.1:${server.port}/library/busybox\nRUN true\n`,
    });
    await slipway.run(["pull", "-q", "alpine"]);
    const busy = (): boolean => stalled > 0 && [1, 2].every((n) => processes(slipway).includes(`sleep ${marker}${n}`));
    for (const [signal, code] of [
      ["SIGINT", 130],
      ["SIGTERM", 143],
    ] as const) {
      stalled = 0;
      const build = start(slipway, ["--jobs", "4", "."]);
      await until(busy);
      build.kill(signal);
      expect(await build.exited).toBe(code);
      expect(left(slipway)).toEqual(nothing);

      stalled = 0;
      // Into another store: this one has the blobs.
      const root = `${slipway.root}-of-pulls`;
      const pulling = start(slipway, ["pull"], root);
      await until(() => stalled > 0);
      pulling.kill(signal);
      expect([await pulling.exited, await new Response(pulling.stderr).text()]).toEqual([code, expect.any(String)]);
      expect(left({ root })).toEqual(nothing);
    }
    const failing = await slipway.run(["build", "--jobs", "4", "--progress", "plain", "failing"], { exit: 1 });
    expect(failing.stderr).toContain("exit code: 3");
    expect(left(slipway)).toEqual(nothing);

    // Killed outright: the next command, whatever it is, takes away what is left.
    stalled = 0;
    const killed = start(slipway, ["--jobs", "4", "."]);
    await until(busy);
    killed.kill("SIGKILL");
    await killed.exited;
    await slipway.run(["build", "--progress", "plain", "-f", "-", "."], { input: "FROM alpine\nRUN true\n" });
    await until(() => processes(slipway).length === 0);
    expect(left(slipway)).toEqual(nothing);
  } finally {
    await server.stop(true);
  }
});

e2e("a COPY that is interrupted leaves nothing, at whatever moment", async (slipway) => {
  const many = Object.fromEntries(Array.from({ length: 800 }, (_, n) => [`c/d${n % 50}/f${n}`, `${n}`]));
  writeFiles(slipway.directory, { ...many, "c/Dockerfile": "FROM scratch\nCOPY . /c\nCOPY . /d\n" });
  await slipway.run(["builds"]); // makes the store
  for (const delay of [80, 160, 240, 320, 400]) {
    const build = start(slipway, ["c"]);
    await Bun.sleep(delay);
    build.kill("SIGINT");
    expect([0, 130]).toContain(await build.exited);
    expect(left(slipway)).toEqual(nothing);
  }
});

e2e("two builds at once from two processes run a step that both need once", async (slipway) => {
  writeFiles(slipway.directory, {
    Dockerfile:
      "FROM alpine\nRUN --mount=type=cache,target=/c echo ran >>/c/count; sleep 1; echo done >/out\nRUN --mount=type=cache,target=/c cat /c/count\n",
  });
  await slipway.run(["pull", "-q", "alpine"]);
  const both = await Promise.all([1, 2].map((n) => slipway.run(["build", "--progress", "plain", "-t", `t${n}`, "."])));
  const ids = await Promise.all([1, 2].map((n) => slipway.text("image", "inspect", "--format", "{{.Id}}", `t${n}`)));
  expect(ids[0]).toBe(ids[1] as string);
  const printed = both.flatMap(({ stderr }) => stderr.match(/^#\d+ \d+\.\d+ ran$/gm) ?? []);
  expect(printed).toHaveLength(1);
  expect(both.map(({ stderr }) => (stderr.match(/CACHED/g) ?? []).length).sort()).toEqual([1, 3]);
});
