import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createSocket } from "node:dgram";
import { chmodSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { containerFiles } from "../../src/engine/containers/containerFiles.ts";
import { createLinux } from "../../src/linux/createLinux.ts";
import { parseAddress, parseSubnet, type Subnet } from "../../src/runtime/network/addresses.ts";
import { openLinks } from "../../src/runtime/network/links.ts";
import { macOf } from "../../src/runtime/network/veth.ts";
import { isPastaUsable, wayOutRefusal } from "../../src/runtime/network/wayOut.ts";
import { readOr } from "../../src/runtime/readOr.ts";
import { rungs } from "../support/rungs.ts";
import { until } from "../support/until.ts";
import { type Slipway, withSlipway } from "../support/withSlipway.ts";

/** An address of the host that is not its loopback: for examples, RFC 5737. */
const OUTSIDE = "198.51.100.77";
const DEVICE = "slipway-outside";
const isRoot = process.getuid?.() === 0;
const TUN = "/dev/net/tun";
// As udev makes it on every host; a machine without udev may have it for root alone.
if (isRoot && existsSync(TUN)) chmodSync(TUN, 0o666);
const caller = isRoot ? rungs.namespace.caller() : { missing: "only root may drop into others" };
const missing = "missing" in caller ? caller.missing : wayOutRefusal()?.reason;

describe.skipIf(missing !== undefined)(
  `a plain user's networks${missing === undefined ? "" : ` (skipped: ${missing})`}`,
  () => {
    const outside = createServer((socket) => socket.on("error", () => undefined).end("hello from outside"));
    const names = createSocket("udp4");
    beforeAll(async () => {
      withLinks((links) => {
        const mac = macOf(parseAddress(OUTSIDE)?.address as bigint);
        const { index } = links.get(DEVICE) ?? links.addBridge(DEVICE, { alias: "", mtu: 1500, mac });
        links.addAddress(index, parseSubnet(`${OUTSIDE}/32`) as Subnet);
      });
      // A server of names that knows one address for all of them.
      names.on("message", (query, { address, port }) => names.send(answerTo(query), port, address));
      await Promise.all([
        new Promise<void>((resolve) => outside.listen(7070, OUTSIDE, resolve)),
        new Promise<void>((resolve) => names.bind(53, OUTSIDE, resolve)),
      ]);
    });
    afterAll(() => {
      outside.close();
      names.close();
      withLinks((links) => links.remove(links.get(DEVICE)?.index ?? 0));
    });

    plain(
      "containers reach the world and each other by name, and are reached by their ports; nothing of them is the host's",
      async (slipway) => {
        const started = await slipway.run([
          "run",
          "-d",
          "--name=web",
          "-p",
          "127.0.0.1:0:80",
          "-p",
          "7777/udp",
          ...server("of web"),
        ]);
        expect(started.stderr).not.toContain("WARNING");
        const [tcp, udp] = await Promise.all([portOf(slipway, "web", "80"), portOf(slipway, "web", "7777/udp")]);
        expect(await slipway.text("ps", "--format", "{{.Ports}}")).toBe(
          `127.0.0.1:${tcp}->80/tcp, 0.0.0.0:${udp}->7777/udp`,
        );
        expect(await fetched(tcp)).toBe("of web");
        expect(await datagram(udp, "ping")).toBe("ping");
        const big = await Promise.all(Array.from({ length: 20 }, () => fetched(tcp, "/big")));
        expect(new Set(big.map((text) => text.length))).toEqual(new Set([1 << 20]));

        // Out of the default network, with an address that is nobody's on the host.
        const out = (...args: string[]) =>
          slipway.text("run", "--rm", ...args, "alpine", "nc", "-w", "3", OUTSIDE, "7070");
        expect(await out()).toBe("hello from outside");
        expect(ownersOfDevices()).not.toContain(started.stdout.trim());

        // By name: each other, and what only the host's servers know.
        await slipway.run(["network", "create", "own"]);
        await slipway.run(["run", "-d", "--name=db", "--network=own", "--network-alias=store", ...server("of db")]);
        const asked = await slipway.run([
          "run",
          "--rm",
          "--network=own",
          `--dns=${OUTSIDE}`,
          "alpine",
          "sh",
          "-c",
          "wget -qO- http://db http://store && nc -w 3 far.example 7070",
        ]);
        expect(asked.stdout).toBe("of db\nof db\nhello from outside");
        const webAddress = await slipway.text("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "web");
        await slipway.run(["network", "connect", "own", "web"]);
        expect(await slipway.text("exec", "db", "wget", "-qO-", "http://web")).toBe("of web");
        expect(
          await slipway.text("exec", "db", "sh", "-c", `wget -T1 -qO- http://${webAddress} 2>/dev/null || echo no`),
        ).toBe("no"); // another network's
        // A network without a way out; the host's gateway; a build's steps.
        await slipway.run(["network", "create", "--internal", "inside"]);
        expect(
          (
            await slipway.run(["run", "--rm", "--network=inside", "alpine", "nc", "-w", "1", OUTSIDE, "7070"], {
              exit: 1,
            })
          ).stdout,
        ).toBe("");
        await slipway.run(["build", "--network=own", "-"], {
          input: `FROM alpine\nRUN wget -qO- http://db | grep 'of db' && nc -w 3 ${OUTSIDE} 7070 | grep outside`,
        });
        await slipway.run(["build", "-"], { input: `FROM alpine\nRUN nc -w 3 ${OUTSIDE} 7070 | grep outside` });
        expect(await slipway.text("run", "--rm", "--network=host", "alpine", "nc", "-w", "3", OUTSIDE, "7070")).toBe(
          "hello from outside",
        );
        expect(await slipway.text("run", "--rm", "--network=none", "alpine", "ls", "/sys/class/net")).toBe("lo");

        // A port has one holder, and below 1024 none.
        const taken = await slipway.run(["run", "--rm", "-p", `127.0.0.1:${tcp}:80`, "alpine", "true"], { exit: 125 });
        expect(taken.stderr).toContain("web");
        const privileged = await slipway.run(["run", "--rm", "-p", "81:80", "alpine", "true"], { exit: 125 });
        expect(privileged.stderr).toContain("ip_unprivileged_port_start");

        // The same port again after a restart; what is removed, or whose monitor or forwarder was killed, leaves none.
        await slipway.run(["restart", "-t", "0", "web"]);
        const again = await portOf(slipway, "web", "80");
        expect(await fetched(again)).toBe("of web");
        await slipway.run(["rm", "-f", "web", "db"]);
        await until(() => forwarders(slipway).length === 0);
        expect(await fetched(again)).toBe("refused");
      },
    );

    plain(
      "whatever process is killed, its container's ports are let go, and the next start has all again",
      async (slipway) => {
        const run = (name: string, ...more: string[]) =>
          slipway.run(["run", "-d", `--name=${name}`, ...more, ...server(`of ${name}`)]);
        await run("aa", "-p", "127.0.0.1:0:80", "--restart=always");
        const port = await portOf(slipway, "aa", "80");
        expect(await fetched(port)).toBe("of aa");
        // The container's own process: the policy begins it anew, with the port that it had where one was named.
        const first = await slipway.text("inspect", "-f", "{{.State.Pid}}", "aa");
        process.kill(Number(first), "SIGKILL");
        await until(async () => ![first, "0"].includes(await slipway.text("inspect", "-f", "{{.State.Pid}}", "aa")));
        await until(async () => (await fetched(await portOf(slipway, "aa", "80"))) === "of aa");
        expect(forwarders(slipway).length).toBe(1);
        // What leads the ports.
        process.kill(forwarders(slipway)[0] as number, "SIGKILL");
        await until(async () => (await fetched(await portOf(slipway, "aa", "80"))) === "refused");
        await slipway.run(["restart", "-t", "0", "aa"]);
        expect(await fetched(await portOf(slipway, "aa", "80"))).toBe("of aa");
        // The way out of all.
        const way = wayOut(slipway);
        process.kill(way, "SIGKILL");
        expect(await slipway.text("run", "--rm", "alpine", "nc", "-w", "3", OUTSIDE, "7070")).toBe(
          "hello from outside",
        );
        expect(wayOut(slipway)).not.toBe(way);
        expect(await slipway.text("exec", "aa", "nc", "-w", "3", OUTSIDE, "7070")).toBe("hello from outside");
        // The monitor.
        const conmon = Number(await monitorOf(slipway, "aa"));
        process.kill(conmon, "SIGKILL");
        await until(() => forwarders(slipway).length === 0);
        await slipway.run(["rm", "-f", "aa"]);
        expect(await slipway.text("ps", "-aq")).toBe("");
      },
    );

    plain(
      "--network pasta gives the host's addresses and the ports that were asked for, until the container ends in whatever way",
      async (slipway) => {
        if (!isPastaUsable()) {
          const refused = await slipway.run(["run", "--rm", "--network=pasta", "alpine", "true"], { exit: 125 });
          expect(refused.stderr).toContain("apt-get install passt");
          return;
        }
        await slipway.run(["run", "-d", "--name=web", "--network=pasta", "-p", "127.0.0.1:0:80", ...server("of web")]);
        const port = await portOf(slipway, "web", "80");
        expect(await slipway.text("ps", "--format", "{{.Ports}}")).toBe(`127.0.0.1:${port}->80/tcp`);
        expect(await fetched(port)).toBe("of web");
        expect(await slipway.text("exec", "web", "nc", "-w", "3", OUTSIDE, "7070")).toBe("hello from outside");
        const dockerfile = `FROM alpine\nRUN nc -w 3 ${OUTSIDE} 7070 | grep outside`;
        await slipway.run(["build", "--network=pasta", "-"], { input: dockerfile });
        expect(pastas(slipway)).toBe(1);
        process.kill(await monitorOf(slipway, "web"), "SIGKILL");
        await slipway.run(["rm", "-f", "web"]);
        expect(pastas(slipway)).toBe(0);
      },
    );
  },
);

function plain(name: string, work: (slipway: Slipway) => Promise<void>): void {
  test(name, () => withSlipway(work, "missing" in caller ? {} : { caller }), 120_000);
}

/** HTTP at port 80, an echo of datagrams at 7777. */
function server(answer: string): string[] {
  const script = `mkdir /www; echo ${answer} >/www/index.html; dd if=/dev/zero of=/www/big bs=1M count=1 2>/dev/null
    chroot /host perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(Proto => "udp", LocalPort => 7777); while ($s->recv(my $m, 1500)) { $s->send($m) }' &
    exec httpd -f -p 80 -h /www`;
  // The image has no program that answers datagrams; every Debian has perl.
  return ["-v", "/:/host:ro", "busybox", "sh", "-c", script];
}

async function fetched(port: number, path = "/"): Promise<string> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(3000) });
    return (await answer.text()).trim();
  } catch (error) {
    return /refused/i.test(String(error)) ? "refused" : String(error);
  }
}

async function datagram(port: number, text: string): Promise<string> {
  const socket = createSocket("udp4");
  const { promise, resolve } = Promise.withResolvers<string>();
  const again = setInterval(() => socket.send(text, port, "127.0.0.1"), 100);
  const end = setTimeout(() => resolve("no answer"), 3000);
  socket.on("message", (answer) => resolve(answer.toString()));
  try {
    return await promise;
  } finally {
    clearInterval(again);
    clearTimeout(end);
    socket.close();
  }
}

const portOf = async (slipway: Slipway, container: string, port: string): Promise<number> =>
  Number((await slipway.text("port", container, port)).split(":").at(-1));

/** Containers whose the devices of the host are. */
const ownersOfDevices = (): string[] =>
  readdirSync("/sys/class/net").map((name) => readOr(`/sys/class/net/${name}/ifalias`).split(/\s/)[0] ?? "");

/** Those of this test's user that have this store's program. */
function forwarders({ directory }: Slipway): number[] {
  const program = join(directory, "../slipway");
  return readdirSync("/proc").flatMap((pid) => {
    if (!/^[0-9]+$/.test(pid)) return [];
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      return words[0] === program && words[2] === "forward" ? [Number(pid)] : [];
    } catch {
      return []; // ended meanwhile
    }
  });
}

async function monitorOf(slipway: Slipway, container: string): Promise<number> {
  const id = await slipway.text("inspect", "-f", "{{.Id}}", container);
  return Number(readFileSync(containerFiles(join(slipway.root, "containers", id), id).conmonPid, "utf8"));
}

const pastas = ({ env }: Slipway): number =>
  readdirSync(join(env.XDG_RUNTIME_DIR as string, "slipway/network/pasta")).length;

const wayOut = ({ env }: Slipway): number =>
  (JSON.parse(readFileSync(join(env.XDG_RUNTIME_DIR as string, "slipway/network/way-out"), "utf8")) as { pid: number })
    .pid;

function withLinks(work: (links: ReturnType<typeof openLinks>) => void): void {
  const links = openLinks(createLinux());
  work(links);
  links.close();
}

/** RFC 1035: the question again, with the address of `OUTSIDE` for an answer. */
function answerTo(query: Buffer): Buffer {
  const end = query.indexOf(0, 12) + 5;
  const isA = query.readUInt16BE(end - 4) === 1;
  const head = Buffer.from(query.subarray(0, end));
  head.writeUInt16BE(0x8180, 2);
  head.writeUInt16BE(isA ? 1 : 0, 6);
  head.writeUInt32BE(0, 8);
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, ...OUTSIDE.split(".").map(Number)]);
  return isA ? Buffer.concat([head, record]) : head;
}
