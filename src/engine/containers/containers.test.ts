import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { putBusyboxImage } from "../../../test/support/busyboxImage.ts";
import { createLinux } from "../../linux/createLinux.ts";
import { isAlive, processStart } from "../../linux/processStart.ts";
import { runDirectory } from "../../runtime/runtimeCommand.ts";
import { openStore } from "../../store/openStore.ts";
import { attachContainer } from "./attachContainer.ts";
import { createContainer } from "./createContainer.ts";
import { diffContainer } from "./diffContainer.ts";
import type { CreateOptions, Engine, Streams } from "../Engine.ts";
import { execContainer } from "./execContainer.ts";
import { inspectContainer } from "./inspectContainer.ts";
import { killContainer } from "./killContainer.ts";
import { listContainers } from "./listContainers.ts";
import { logs } from "./logs.ts";
import { removeContainer } from "./removeContainer.ts";
import { type RunResult, runContainer } from "./runContainer.ts";
import { startContainer } from "./startContainer.ts";
import { stopContainer } from "./stopContainer.ts";
import { waitContainer } from "./waitContainer.ts";

const linux = createLinux();
let base: string;
let engine: Engine;

// On a file system that overlayfs takes as its upper one, which a tmpfs at /tmp is not everywhere.
beforeEach(() => {
  base = mkdtempSync("/var/tmp/slipway-test-");
  const root = `${base}/store`;
  const store = openStore({ root, linux });
  engine = { store, config: { root, registries: {} }, emit: () => undefined, signal: new AbortController().signal };
  putBusyboxImage(store, { Env: ["PATH=/bin", "FROM_IMAGE=yes"], Cmd: ["sh"] });
});
afterEach(async () => {
  for (const record of engine.store.containers.list()) await removeContainer(engine, record.id, { force: true });
  engine.store.close();
  rmSync(base, { recursive: true, force: true });
});

const defaults: CreateOptions = {
  image: "busybox",
  command: [],
  env: [],
  tty: false,
  interactive: false,
  autoRemove: false,
  network: "default",
  readOnly: false,
  privileged: false,
  capAdd: [],
  capDrop: [],
  volumes: [],
  labels: {},
  addHosts: [],
  init: false,
  pull: "never",
  securityOpt: [],
  tmpfs: [],
};

interface Captured extends Streams {
  text: { stdout: string; stderr: string };
}

function capture(extra: Partial<Streams> = {}): Captured {
  const text = { stdout: "", stderr: "" };
  const decoder = new TextDecoder();
  return {
    text,
    stdout: (bytes) => {
      text.stdout += decoder.decode(bytes);
    },
    stderr: (bytes) => {
      text.stderr += decoder.decode(bytes);
    },
    ...extra,
  };
}

/** Runs a shell script in the foreground. */
async function run(
  script: string,
  options: Partial<CreateOptions> = {},
): Promise<{ exitCode: number | undefined; stdout: string; stderr: string; id: string }> {
  const streams = capture();
  const result = await runContainer(engine, { ...defaults, command: ["sh", "-c", script], ...options }, streams);
  return { exitCode: result.exitCode, id: result.container.id, ...streams.text };
}

function detached(script: string, options: Partial<CreateOptions> = {}): Promise<RunResult> {
  return runContainer(engine, { ...defaults, command: ["sh", "-c", script], ...options });
}

const exec = { env: [], tty: false, interactive: false, privileged: false, detach: false };
const forever = "trap 'exit 9' TERM; echo ready; while true; do sleep 0.05; done";

async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error("waited in vain");
    await Bun.sleep(5);
  }
}

function status(id: string): string | undefined {
  return listContainers(engine, { all: true }).find((each) => each.id === id)?.statusText;
}

describe("run in the foreground", () => {
  test("hands over both streams and the exit code, and keeps the container", async () => {
    const result = await run("echo out; echo err >&2; exit 3");
    expect(result).toMatchObject({ exitCode: 3, stdout: "out\n", stderr: "err\n" });
    expect(status(result.id)).toMatch(/^Exited \(3\) /);
  });
  test("says 128+n where a signal ended it", async () => {
    expect((await run("sh -c 'kill -9 $$'; exit $?")).exitCode).toBe(137);
  });
  test("with --rm leaves nothing", async () => {
    const result = await run("true", { autoRemove: true });
    expect(listContainers(engine, { all: true })).toEqual([]);
    expect(existsSync(engine.store.containers.directory(result.id))).toBe(false);
    expect(existsSync(`${runDirectory()}/crun/${result.id}`)).toBe(false);
  });
  test("loses no byte of a large output", async () => {
    let length = 0;
    const count = (bytes: Uint8Array): void => {
      length += bytes.length;
    };
    const streams = { stdout: count, stderr: () => undefined };
    await runContainer(engine, { ...defaults, command: ["head", "-c", "20000000", "/dev/zero"] }, streams);
    expect(length).toBe(20_000_000);
  });
  test("passes standard input on, and its end", async () => {
    writeFileSync(`${base}/input`, "line\n".repeat(50_000));
    const stdin = linux.openat(-100, `${base}/input`, 0);
    const streams = capture({ stdin });
    await runContainer(engine, { ...defaults, command: ["wc", "-l"], interactive: true }, streams);
    linux.close(stdin);
    expect(streams.text.stdout.trim()).toBe("50000");
  });
  test("a missing program is 127, one that is none 126, an unknown user 126, each with nothing left running", async () => {
    const attempt = (command: string[], options: Partial<CreateOptions> = {}) =>
      runContainer(engine, { ...defaults, command, autoRemove: true, ...options }, capture());
    expect(attempt(["nosuch"])).rejects.toMatchObject({ exitCode: 127, code: "EXECUTABLE_NOT_FOUND" });
    expect(attempt(["/etc/passwd"])).rejects.toMatchObject({ exitCode: 126, code: "NOT_EXECUTABLE" });
    expect(attempt(["true"], { user: "nemo" })).rejects.toMatchObject({ exitCode: 126, code: "USER_NOT_FOUND" });
    await until(() => listContainers(engine, { all: true }).length === 0);
    expect(readFileSync("/proc/thread-self/mountinfo", "utf8")).not.toContain(base);
  });
});

describe("options", () => {
  test("environment, directory, user and host name reach the process", async () => {
    const { stdout } = await run("env; pwd; id -u; hostname", {
      env: ["A=b", "FROM_IMAGE=no"],
      workdir: "/srv/x",
      user: "guest",
      hostname: "ship",
    });
    expect(stdout).toContain("A=b\n");
    expect(stdout).toContain("FROM_IMAGE=no\n");
    expect(stdout).toContain("HOSTNAME=ship\n");
    expect(stdout).toContain("HOME=/home/guest\n");
    expect(stdout).toEndWith("/srv/x\n1000\nship\n");
  });
  test("an entrypoint of one's own clears the image's command", async () => {
    const streams = capture();
    await runContainer(engine, { ...defaults, entrypoint: ["echo"], command: ["a", "b"] }, streams);
    expect(streams.text.stdout).toBe("a b\n");
    expect(createContainer(engine, { ...defaults, entrypoint: [""] })).rejects.toMatchObject({ code: "NO_COMMAND" });
  });
  test("a read-only root refuses writes, but not those to a tmpfs", async () => {
    const { stdout } = await run("touch /x || echo refused; touch /run/x && echo taken", {
      readOnly: true,
      tmpfs: ["/run"],
    });
    expect(stdout).toBe("refused\ntaken\n");
  });
  test("capabilities are Docker's, without the dropped and with the added", async () => {
    const caps = async (options: Partial<CreateOptions>): Promise<string> =>
      (await run("grep CapEff /proc/self/status", options)).stdout.split("\t")[1]?.trim() ?? "";
    expect(await caps({})).toBe("00000000a80425fb");
    expect(await caps({ capDrop: ["ALL"], capAdd: ["CHOWN"] })).toBe("0000000000000001");
  });
  test("volumes: a host directory, a named one that keeps its content, a read-only one", async () => {
    mkdirSync(`${base}/host`);
    await run("echo 1 > /h/file; echo kept > /v/file", { volumes: [`${base}/host:/h`, "vol:/v"] });
    expect(readFileSync(`${base}/host/file`, "utf8")).toBe("1\n");
    const { stdout } = await run("cat /v/file; touch /h/x || echo refused", {
      volumes: [`${base}/host:/h:ro`, "vol:/v"],
    });
    expect(stdout).toBe("kept\nrefused\n");
  });
  test("a new volume takes over what the image has there, owners and modes included", async () => {
    const { stdout } = await run("cat /etc/passwd | head -1; stat -c %a /tmp", { volumes: ["etc:/etc", "tmp:/tmp"] });
    expect(stdout).toBe("root:x:0:0:root:/root:/bin/sh\n1777\n");
  });
  test("what cannot be is refused before anything is made", async () => {
    const refused = (options: Partial<CreateOptions>) => createContainer(engine, { ...defaults, ...options });
    expect(refused({ name: "-x" })).rejects.toMatchObject({ code: "INVALID_NAME" });
    expect(refused({ network: "moon" })).rejects.toMatchObject({ code: "NETWORK_NOT_FOUND" });
    expect(refused({ volumes: ["a:b:c:d"] })).rejects.toMatchObject({ code: "INVALID_VOLUME" });
    expect(refused({ capAdd: ["FLY"] })).rejects.toMatchObject({ code: "INVALID_CAPABILITY" });
    expect(refused({ image: "nowhere" })).rejects.toMatchObject({ code: "IMAGE_NOT_FOUND" });
    await createContainer(engine, { ...defaults, name: "taken" });
    expect(refused({ name: "taken" })).rejects.toMatchObject({ code: "NAME_IN_USE" });
    expect(engine.store.containers.list()).toHaveLength(1);
  });
});

describe("life of a detached container", () => {
  test("runs, is listed, stops by its signal, and starts again with what it wrote", async () => {
    const { container } = await detached(`echo x >> /tmp/count; wc -l < /tmp/count; ${forever}`, { name: "ship" });
    expect(listContainers(engine)).toMatchObject([{ name: "ship", status: "running" }]);
    expect(status(container.id)).toMatch(/^Up /);
    await until(() =>
      readFileSync(`${engine.store.containers.directory(container.id)}/container.log`, "utf8").includes("ready"),
    );
    await stopContainer(engine, "ship");
    expect(status(container.id)).toMatch(/^Exited \(9\) /);
    await startContainer(engine, "ship");
    await until(() =>
      readFileSync(`${engine.store.containers.directory(container.id)}/container.log`, "utf8").includes(" 2\n"),
    );
    await killContainer(engine, "ship");
    expect(await waitContainer(engine, "ship")).toBe(137);
  });
  test("stop kills what does not listen", async () => {
    const { container } = await detached("trap '' TERM; while true; do sleep 0.05; done");
    await stopContainer(engine, container.id, { timeout: 0 });
    expect(status(container.id)).toMatch(/^Exited \(137\) /);
  });
  test("a running one is removed by force only, an ended one is not killed", async () => {
    const { container } = await detached(forever);
    expect(removeContainer(engine, container.id)).rejects.toMatchObject({ code: "CONTAINER_RUNNING" });
    await removeContainer(engine, container.id, { force: true });
    expect(isAlive(container.pid, container.pidStart)).toBe(false);
    const ended = await run("true");
    expect(killContainer(engine, ended.id)).rejects.toMatchObject({ code: "CONTAINER_NOT_RUNNING" });
  });
  test("attach joins it and hears its end", async () => {
    const { container } = await detached("sleep 0.2; echo late; exit 4");
    const streams = capture();
    expect(await attachContainer(engine, container.id, streams)).toBe(4);
    expect(streams.text.stdout).toBe("late\n");
  });
  test("start attached goes on with the same file system", async () => {
    const { id } = await run("cat /tmp/x; echo again >> /tmp/x");
    const streams = capture();
    await attachContainer(engine, id, streams, { start: true });
    expect(streams.text.stdout).toBe("again\n");
  });
});

describe("exec", () => {
  test("runs in the container with its environment and hands over the exit code", async () => {
    const { container } = await detached(`echo secret > /tmp/s; ${forever}`, { env: ["A=b"] });
    const streams = capture();
    await until(() => diffContainer(engine, container.id).some((change) => change.path === "/tmp/s"));
    const options = {
      ...exec,
      command: ["sh", "-c", "cat /tmp/s; echo $A $C; id -u; exit 5"],
      env: ["C=d"],
      user: "guest",
    };
    expect(await execContainer(engine, container.id, options, streams)).toBe(5);
    expect(streams.text.stdout).toBe("secret\nb d\n1000\n");
  });
  test("a missing program is 127, a container that does not run an error", async () => {
    const { container } = await detached(forever);
    expect(execContainer(engine, container.id, { ...exec, command: ["nosuch"] }, capture())).rejects.toMatchObject({
      exitCode: 127,
    });
    await killContainer(engine, container.id);
    await waitContainer(engine, container.id);
    expect(execContainer(engine, container.id, { ...exec, command: ["true"] }, capture())).rejects.toMatchObject({
      code: "CONTAINER_NOT_RUNNING",
    });
  });
});

describe("what a container leaves", () => {
  test("diff lists added, changed and deleted paths, and nothing that was only mounted on", async () => {
    const { id } = await run("echo x > /tmp/new; rm /etc/group; mkdir -p /a/b; touch /a/b/c; chmod 700 /root");
    expect(diffContainer(engine, id).map(({ kind, path }) => `${kind} ${path}`)).toEqual([
      "A /a",
      "A /a/b",
      "A /a/b/c",
      "C /etc",
      "D /etc/group",
      "C /root",
      "C /tmp",
      "A /tmp/new",
    ]);
    expect(diffContainer(engine, (await run("true")).id)).toEqual([]);
  });
  test("logs give each stream its own, by tail and with times", async () => {
    const { id } = await run("echo one; echo two >&2; echo three; printf end");
    const read = async (options: Parameters<typeof logs>[2]): Promise<Captured["text"]> => {
      const streams = capture();
      await logs(engine, id, options, streams);
      return streams.text;
    };
    expect(await read({})).toEqual({ stdout: "one\nthree\nend", stderr: "two\n" });
    expect((await read({ timestamps: true })).stdout).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z one\n/);
    expect((await read({ since: Date.now() + 60_000 })).stdout).toBe("");
    expect(await read({ tail: 0 })).toEqual({ stdout: "", stderr: "" });
  });
  test("logs follow until the end", async () => {
    const { container } = await detached("echo a; sleep 0.2; echo b");
    const streams = capture();
    await logs(engine, container.id, { follow: true }, streams);
    expect(streams.text.stdout).toBe("a\nb\n");
  });
  test("inspect has Docker's shape", async () => {
    const { id } = await run("exit 2", { name: "seen", labels: { k: "v" }, network: "none" });
    expect(inspectContainer(engine, "seen")).toMatchObject({
      Id: id,
      Name: "/seen",
      Path: "sh",
      Args: ["-c", "exit 2"],
      State: { Status: "exited", Running: false, ExitCode: 2, Pid: 0 },
      Config: { Image: "busybox", Labels: { k: "v" }, Env: ["PATH=/bin", "FROM_IMAGE=yes"] },
      HostConfig: { AutoRemove: false, NetworkMode: "none" },
      NetworkSettings: { SandboxKey: "", Networks: { none: { IPAddress: "" } } },
    });
  });
});

describe("after kill -9", () => {
  const victims: ("container" | "conmon")[][] = [
    ["container"],
    ["conmon"],
    ["conmon", "container"],
    ["container", "conmon"],
  ];
  for (const order of victims) {
    test(`of ${order.join(", then ")} the list tells the truth and rm -f leaves nothing`, async () => {
      const { container } = await detached(forever);
      const { pid = 0, conmonPid = 0 } = engine.store.containers.find(container.id);
      for (const victim of order) process.kill(victim === "container" ? pid : conmonPid, "SIGKILL");
      await until(() => processStart(order.includes("container") ? pid : conmonPid) === undefined);
      expect(status(container.id)).toMatch(order.includes("container") ? /^Exited \(137\)/ : /^Up /);
      await removeContainer(engine, container.id, { force: true });
      await until(() => processStart(pid) === undefined && processStart(conmonPid) === undefined);
      expect(readdirSync(`${base}/store/containers`)).toEqual([]);
      expect(existsSync(`${runDirectory()}/crun/${container.id}`)).toBe(false);
    });
  }
});
