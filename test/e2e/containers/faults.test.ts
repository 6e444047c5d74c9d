import { expect } from "bun:test";
import { existsSync, globSync, readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { createLinux } from "../../../src/linux/createLinux.ts";
import { bridgeRefusal } from "../../../src/runtime/network/probeBridge.ts";
import { e2e } from "../../support/e2e.ts";
import { type Slipway, slipwayPath } from "../../support/withSlipway.ts";

/** Of each test. A short one goes with all others; `SLIPWAY_FAULT_ROUNDS=200` is the long one. */
const ROUNDS = Number(process.env.SLIPWAY_FAULT_ROUNDS ?? 32);
const AT_ONCE = 4;
const SEED = Number(process.env.SLIPWAY_FAULT_SEED ?? 42);

e2e(
  `${ROUNDS} containers whose slipway, conmon, runtime or process is killed at any moment leave no lie in ps, and after rm -f nothing at all`,
  async (slipway) => {
    const seen = await rounds(slipway, FLAGS);
    expect(await slipway.text("volume", "ls", "-q")).toBe("");
    expect([seen.count, seen.left > ROUNDS / 4, seen.running > 0]).toEqual([ROUNDS, true, true]);
  },
  { minutes: 10 },
);

const refusal = process.getuid?.() === 0 ? await bridgeRefusal(createLinux()) : undefined;
if (refusal === undefined)
  e2e(
    `the same of ${ROUNDS} with networks, ports, volumes and restart policies: no device, rule, record, name, mount or group of theirs is left`,
    async (slipway) => {
      const subnet = (part: number): string => `10.${200 + Math.floor(Math.random() * 50)}.${part}.0/24`;
      await slipway.run(["network", "create", "--subnet", subnet(1), "front"]);
      await slipway.run(["network", "create", "--subnet", subnet(2), "--internal", "back"]);
      await slipway.run(["volume", "create", "kept"]);
      const networks = (await slipway.text("network", "ls", "-q", "--filter", "type=custom")).split("\n");
      const seen = await rounds(slipway, NETWORKED);
      expect([seen.count, seen.left > ROUNDS / 4, seen.running > 0]).toEqual([ROUNDS, true, true]);
      expect(await slipway.text("volume", "ls", "-q")).toBe("kept");
      await slipway.run(["volume", "rm", "kept"]);
      expect(traces(seen.ids)).toEqual([]);
      await slipway.run(["network", "rm", "front", "back"]); // would be refused with somebody in them
      const devices = readdirSync("/sys/class/net").filter((name) => networks.some((id) => name.includes(id)));
      const names = filesIn(`${RUN}/dns`).filter((name) => networks.some((id) => name.includes(id)));
      expect([devices, names]).toEqual([[], []]);
      // A rule that had stayed would lead to nowhere, and nobody would refuse.
      const answers = await Promise.all([...seen.ports].map(async (port) => [port, await knock(port)]));
      expect(answers.filter(([, answer]) => answer !== "refused")).toEqual([]);
    },
    { minutes: 15 },
  );

interface Seen {
  /** Rounds, and those after which there was a container to look at: a test that never sees one shows nothing. */
  count: number;
  left: number;
  running: number;
  ids: Set<string>;
  /** Of the host, published by one of them. */
  ports: Set<number>;
}

async function rounds(slipway: Slipway, flags: string[][]): Promise<Seen> {
  const seen: Seen = { count: 0, left: 0, running: 0, ids: new Set(), ports: new Set() };
  await slipway.run(["pull", "-q", "alpine"]);
  const began = performance.now();
  await slipway.run(["run", "--rm", "-d", "--network", "host", "alpine", "true"]);
  const start = (performance.now() - began) * 1.5; // others are at it at the same time
  const random = generator(SEED);
  const queue = Array.from({ length: ROUNDS }, (_, n) => ({
    name: `victim${n}`,
    flags: flags[n % flags.length] as string[],
    victims: [pick(random, VICTIMS), pick(random, VICTIMS), pick(random, VICTIMS)],
    pauses: [random() * start * 1.6, (random() * start) / 3, (random() * start) / 3],
  }));
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let plan = queue.shift(); plan !== undefined; plan = queue.shift()) await round(slipway, plan, seen);
    }),
  );
  expect(await slipway.text("ps", "-aq")).toBe("");
  expect(readdirSync(`${slipway.root}/containers`)).toEqual([]);
  expect(filesIn(`${slipway.root}/monitors`)).toEqual([]);
  await Bun.sleep(2100); // what a killed process held is swept when it is surely nobody's
  await slipway.run(["ps"]);
  expect(readdirSync(`${slipway.root}/locks`)).toEqual([]);
  const ended = () => processesAbout(`${slipway.root}/`);
  for (let waited = 0; waited < 100 && ended().length > 0; waited++) await Bun.sleep(50);
  expect(ended()).toEqual([]);
  return seen;
}

const RUN = "/run/slipway/network";

/** What the host has of these containers. */
function traces(ids: ReadonlySet<string>): string[] {
  const named = (text: string): boolean => [...ids].some((id) => text.includes(id));
  const textIn = (path: string): string => {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return ""; // gone meanwhile
    }
  };
  return [
    ...readdirSync("/sys/class/net").filter((device) => named(textIn(`/sys/class/net/${device}/ifalias`))),
    ...filesIn(`${RUN}/ports`).filter(named),
    ...filesIn(`${RUN}/dns`).filter((file) => named(textIn(`${RUN}/dns/${file}`))),
    ...readFileSync("/proc/self/mounts", "utf8").split("\n").filter(named),
    ...globSync("/sys/fs/cgroup/*/slipway/*").filter(named),
    ...globSync("/sys/fs/cgroup/slipway/*").filter(named),
  ];
}

function filesIn(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}

async function knock(port: number): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect({ host: "127.0.0.1", port });
  socket.on("connect", () => resolve("open"));
  socket.on("error", (error: NodeJS.ErrnoException) =>
    resolve(error.code === "ECONNREFUSED" ? "refused" : String(error)),
  );
  const patience = setTimeout(() => resolve("no answer"), 3000);
  try {
    return await promise;
  } finally {
    clearTimeout(patience);
    socket.destroy();
  }
}

const FLAGS = [
  [],
  ["--rm"],
  ["-d"],
  ["-d", "--rm"],
  ["-d", "--restart", "always"],
  ["-d", "--memory", "64m"],
  ["-d", "--network", "bridge"],
  ["-v", "/anonymous"],
  ["-d", "--health-cmd", "true", "--health-interval", "50ms"],
];
const NETWORKED = [
  ["-d", "-p", "80"],
  ["-d", "--network", "front", "-p", "80", "-v", "/anonymous"],
  ["-d", "--network", "front", "--network", "back", "-v", "kept:/kept"],
  ["-d", "--rm", "--network", "back", "--network-alias", "other", "-v", "/anonymous"],
  ["--network", "front", "-P", "--expose", "81"],
  ["-d", "--network", "front", "--restart", "always", "-p", "80/udp"],
  ["-d", "--restart", "on-failure:3", "-p", "127.0.0.1::80", "-v", "kept:/kept", "--memory", "64m"],
  ["--rm", "-p", "80"],
];
const VICTIMS = ["slipway", "conmon", "crun", "init", "any"] as const;

interface Plan {
  name: string;
  flags: string[];
  victims: (typeof VICTIMS)[number][];
  pauses: number[];
}

/** Three kills. */
async function round(slipway: Slipway, plan: Plan, seen: Seen): Promise<void> {
  const isNetworked = plan.flags.some((flag) => ["--network", "-p"].includes(flag));
  const host = isNetworked ? [] : ["--network", "host"];
  const child = Bun.spawn(
    [slipwayPath, "run", "--name", plan.name, ...host, ...plan.flags, "alpine", "sh", "-c", "sleep 0.1 & sleep 300"],
    {
      env: slipway.env,
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    },
  );
  for (const [at, victim] of plan.victims.entries()) {
    await Bun.sleep(plan.pauses[at] as number);
    killOne(victim, child.pid, idOf(plan.name));
  }
  if (plan.flags.includes("-d") && !plan.victims.includes("slipway")) await child.exited;
  else child.kill("SIGKILL");
  await child.exited;
  seen.count++;
  const described = JSON.stringify(plan);
  // The truth: running is who has a process, and nobody else.
  const line = await slipway.text(
    "ps",
    "-a",
    "--no-trunc",
    "--filter",
    `name=^${plan.name}$`,
    "--format",
    "{{.ID}} {{.State}}",
  );
  if (line !== "") {
    seen.left++;
    const [id = "", state] = line.split(" ");
    seen.ids.add(id);
    if (isNetworked) for (const port of await portsOf(slipway, plan.name)) seen.ports.add(port);
    const inspected = await slipway.run(["inspect", "-f", "{{.State.Status}} {{.State.Pid}}", plan.name], {
      exit: "any",
    });
    const [status, pid] = inspected.stdout.trim().split(" ");
    if (status === "running") seen.running++;
    if (status === "running") expect([described, existsSync(`/proc/${pid}`)]).toEqual([described, true]);
    if (!plan.flags.includes("--restart") && inspected.exitCode === 0 && state !== "running") {
      expect([described, status === "running"]).toEqual([described, false]);
    }
    const removed = await slipway.run(["rm", "-f", "-v", plan.name], { exit: "any" });
    expect([described, removed.exitCode, removed.stderr.replace(/^slipway: No such container.*\n/, "")]).toEqual([
      described,
      0,
      "",
    ]);
    // What conmon runs when it ends may look, see that there is nothing, and go.
    for (let waited = 0; waited < 40 && processesAbout(id).length > 0; waited++) await Bun.sleep(50);
    expect([described, processesAbout(id)]).toEqual([described, []]);
    expect([described, globSync(`/sys/fs/cgroup/*/slipway/${id}`)]).toEqual([described, []]);
    expect([described, existsSync(`/run/slipway/crun/${id}`), existsSync(`${slipway.root}/containers/${id}`)]).toEqual([
      described,
      false,
      false,
    ]);
  }
}

/** Those of TCP. */
async function portsOf(slipway: Slipway, name: string): Promise<number[]> {
  const { stdout } = await slipway.run(["port", name], { exit: "any" });
  return [...stdout.matchAll(/\/tcp -> .*:(\d+)$/gm)].map(([, port]) => Number(port));
}

/** Kills one process of this kind that has to do with the container, as it is at this instant. */
function killOne(victim: Plan["victims"][number], slipwayPid: number, id: string | undefined): void {
  if (victim === "slipway") kill(slipwayPid);
  if (victim === "slipway" || id === undefined) return;
  const found = processesAbout(id).filter(({ line }) => victim === "any" || kindOf(line) === victim);
  if (victim === "init" || (victim === "any" && found.length === 0)) {
    try {
      const { pid } = JSON.parse(readFileSync(`/run/slipway/crun/${id}/status`, "utf8")) as { pid: number };
      kill(pid);
    } catch {
      // not that far, or gone
    }
    return;
  }
  for (const { pid } of found.slice(0, 1)) kill(pid);
}

function kindOf(line: string): string {
  const program = line.split("\0", 1)[0] as string;
  return program.endsWith("conmon") ? "conmon" : program.startsWith("/proc/") ? "crun" : "other";
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // gone
  }
}

function idOf(name: string): string | undefined {
  // As whoever looks at the processes sees it: no slipway is asked, which would put things right.
  const byName = processesAbout(`--name=${name}\0`).map(({ line }) => /--cid=([0-9a-f]{64})/.exec(line)?.[1]);
  return byName.find((id) => id !== undefined);
}

function processesAbout(text: string): { pid: number; line: string }[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const line = readFileSync(`/proc/${name}/cmdline`, "latin1");
      return line.includes(text) ? [{ pid: Number(name), line }] : [];
    } catch {
      return []; // ended just now
    }
  });
}

function pick<T>(random: () => number, list: readonly T[]): T {
  return list[Math.floor(random() * list.length)] as T;
}

/** mulberry32: the same numbers for the same seed. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
