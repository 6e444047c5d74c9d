import { expect } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { bridgeRefusal } from "../../src/runtime/network/probeBridge.ts";
import { createLinux } from "../../src/linux/createLinux.ts";
import { e2e as anywhere } from "../support/e2e.ts";
import { until } from "../support/until.ts";
import { type Slipway, slipwayPath } from "../support/withSlipway.ts";

const refusal = process.getuid?.() === 0 ? await bridgeRefusal(createLinux()) : undefined;
const e2e: typeof anywhere = (name, work, options) => {
  if (refusal === undefined) anywhere(name, work, options);
  else anywhere(`${name} (skipped: no bridge networks here: ${refusal})`, async () => {}, options);
};

/** A server that answers with `answer` to whoever connects to port 80. */
const server = (answer: string): string[] => [
  "busybox",
  "sh",
  "-c",
  `mkdir /www; echo ${answer} > /www/index.html; exec httpd -f -p 80 -h /www`,
];

/** One HTTP request from inside a container; what went wrong where nobody answered. */
function ask(slipway: Slipway, container: string, host: string, port = 80): Promise<string> {
  const request = `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | timeout 1 nc ${host} ${port} 2>/dev/null | tail -n 1 || true`;
  return slipway.text("exec", container, "sh", "-c", request);
}

async function fetchText(port: number): Promise<string> {
  try {
    return (await (await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(3000) })).text()).trim();
  } catch (error) {
    return /refused/i.test(String(error)) ? "refused" : String(error);
  }
}

const portOf = async (slipway: Slipway, container: string): Promise<number> =>
  Number((await slipway.text("port", container, "80")).split(":").at(-1));
const addressOf = (slipway: Slipway, container: string, network: string): Promise<string> =>
  slipway.text("inspect", "-f", `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`, container);
const device = (address: string): string =>
  `/sys/class/net/sw${address
    .split(".")
    .map((part) => Number(part).toString(16).padStart(2, "0"))
    .join("")}`;

e2e(
  "containers of a network find each other by name, alias and ID, as long as they run, and others do not",
  async (slipway) => {
    await slipway.run(["network", "create", "--label", "kind=test", "names"]);
    const db = await slipway.text(
      "run",
      "-d",
      "--name",
      "db",
      "--network",
      "names",
      "--network-alias",
      "store",
      ...server("rows"),
    );
    await slipway.run(["run", "-d", "--name", "app", "--network", "names", "busybox", "sleep", "600"]);
    await slipway.run(["run", "-d", "--name", "stranger", "busybox", "sleep", "600"]);
    for (const name of ["db", "store", db.slice(0, 12)])
      expect([name, await ask(slipway, "app", name)]).toEqual([name, "rows"]);
    const address = await addressOf(slipway, "db", "names");
    expect(await ask(slipway, "stranger", "db")).toBe("");
    expect(await ask(slipway, "stranger", address)).toBe(""); // of another network: not even by address

    // Its own name, and a server instead of the host's.
    const files = await slipway.text("exec", "app", "cat", "/etc/hosts", "/etc/resolv.conf");
    const gateway = await slipway.text("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "names");
    const id = await slipway.text("inspect", "-f", "{{.Config.Hostname}}", "app");
    expect(files).toContain(`${await addressOf(slipway, "app", "names")}\t${id}\n`);
    expect(files).toContain(`nameserver ${gateway}\n`);

    // A RUN step of a build in the network.
    writeFileSync(
      join(slipway.directory, "Dockerfile"),
      "FROM busybox\nRUN printf 'GET / HTTP/1.0\\r\\n\\r\\n' | timeout 2 nc store 80 | tail -n 1 > /got && grep rows /got\nRUN --network=none ! ip addr show eth0\n",
    );
    await slipway.run(["build", "--network", "names", "-t", "asked", "."]);
    expect(await slipway.text("run", "--rm", "asked", "cat", "/got")).toBe("rows");

    // Restarted it has its names again; removed it has none.
    await slipway.run(["restart", "-t", "0", "db"]);
    expect(await ask(slipway, "app", "db")).toBe("rows");
    expect((await slipway.run(["network", "rm", "names"], { exit: 1 })).stderr).toContain("has active endpoints");
    await slipway.run(["rm", "-f", "db"]);
    expect((await slipway.run(["exec", "app", "nslookup", "db"], { exit: "any" })).exitCode).not.toBe(0);
    await slipway.run(["rm", "-f", "app"]);
    expect(
      await slipway.text(
        "network",
        "ls",
        "--filter",
        "label=kind=test",
        "--format",
        "{{.Name}} {{.Driver}} {{.Scope}}",
      ),
    ).toBe("names bridge local");
    expect(await slipway.text("network", "prune", "-f")).toContain("Deleted Networks:\nnames");
  },
);

e2e(
  "a published port is the container's as long as it runs: from the host, from others, and for nobody else",
  async (slipway) => {
    const web = ["run", "-d", "--name", "web", "-P", "--expose", "80", "-p", "127.0.0.1::81/udp", ...server("hello")];
    await slipway.run(web);
    const port = await portOf(slipway, "web");
    await until(async () => (await fetchText(port)) === "hello");
    const outside = Object.values(networkInterfaces())
      .flat()
      .find((each) => each?.family === "IPv4" && !each.internal)?.address as string;
    await slipway.run(["run", "-d", "--name", "other", "busybox", "sleep", "600"]);
    expect(await ask(slipway, "other", outside, port)).toBe("hello");
    for (const [filter, found] of [
      [`publish=${port}`, "web"],
      [`publish=${port - 1}-${port + 1}/tcp`, "web"],
      [`publish=${port}/udp`, ""],
      ["expose=80", "web"],
      ["expose=70-90/udp", "web"],
      ["expose=82", ""],
    ] as const)
      expect([filter, await slipway.text("ps", "-f", filter, "--format", "{{.Names}}")]).toEqual([filter, found]);
    expect(await ask(slipway, "web", outside, port)).toBe("hello"); // itself, by way of the host
    expect(await ask(slipway, "other", await addressOf(slipway, "web", "bridge"))).toBe("hello");
    expect(await slipway.text("ps", "--filter", "name=web", "--format", "{{.Ports}}")).toMatch(
      new RegExp(`^0.0.0.0:${port}->80/tcp, 127.0.0.1:\\d+->81/udp$`),
    );

    const taken = await slipway.run(["run", "--rm", "-p", `${port}:80`, "busybox", "true"], { exit: 125 });
    expect(taken.stderr).toContain(`the host's port 0.0.0.0:${port}/tcp is already in use by the container web`);
    expect(() => Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } })).toThrow();
    const own = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const other = await slipway.run(["run", "--rm", "-p", `${own.port}:80`, "busybox", "true"], { exit: 125 });
    expect(other.stderr).toContain(`${own.port}/tcp is already in use\n`);
    own.stop();

    // Ended by itself while nobody looks: the port leads nowhere any more, and is free.
    const pid = Number(await slipway.text("inspect", "-f", "{{.State.Pid}}", "web"));
    process.kill(pid, "SIGKILL");
    await until(async () => (await fetchText(port)) === "refused");
    await until(() => !existsSync(`/proc/${pid}`));
    await slipway.run(["start", "web"]);
    const again = await portOf(slipway, "web");
    await until(async () => (await fetchText(again)) === "hello");
  },
);

e2e(
  "an internal network has no way out and none in; none is a loopback; container: is another's network",
  async (slipway) => {
    await slipway.run([
      "network",
      "create",
      "--internal",
      "--subnet",
      "10.211.7.0/24",
      "--ip-range",
      "10.211.7.128/25",
      "inner",
    ]);
    await slipway.run(["run", "-d", "--name", "open", ...server("open")]);
    const open = await addressOf(slipway, "open", "bridge");
    await slipway.run(["run", "-d", "--name", "shut", "--network", "inner", "--ip", "10.211.7.9", ...server("shut")]);
    await slipway.run([
      "run",
      "-d",
      "--name",
      "friend",
      "--network",
      "inner",
      "--mac-address",
      "02:00:00:00:00:07",
      "busybox",
      "sleep",
      "600",
    ]);
    expect(await ask(slipway, "friend", "10.211.7.9")).toBe("shut");
    expect(await addressOf(slipway, "friend", "inner")).toBe("10.211.7.128");
    expect(await slipway.text("exec", "friend", "cat", "/sys/class/net/eth0/address")).toBe("02:00:00:00:00:07");
    expect(await ask(slipway, "open", "10.211.7.9")).toBe("");
    expect(await slipway.text("exec", "friend", "ip", "route")).not.toContain("default");
    // Its own names are known, to a step of a build, too. No question goes out, nor is one taken from an address that nobody was given.
    const outside = "timeout 1 nslookup -type=a name.invalid. || true";
    const heard: number[] = [];
    const resolver = await Bun.udpSocket({
      hostname: "127.0.0.53",
      port: 53,
      socket: { data: (_, question) => void heard.push(question.length) },
    });
    try {
      const asking = ["run", "--rm", "--network", "inner", "--dns", "127.0.0.53", "busybox", "sh", "-c"];
      expect(await slipway.text(...asking, `nslookup shut; ${outside}`)).toContain("Address: 10.211.7.9");
      expect(heard).toEqual([]);
      const address = "ip addr flush dev eth0; ip addr add 10.211.7.77/24 dev eth0; ip link set eth0 up";
      const liar = ["run", "--rm", "--privileged", "--network", "inner", "busybox", "sh", "-c"];
      const { stdout } = await slipway.run([...liar, `${address}; timeout 1 nslookup shut`], { exit: "any" });
      expect(stdout).not.toContain("10.211.7.9");
    } finally {
      resolver.close();
    }
    writeFileSync(join(slipway.directory, "Dockerfile"), "FROM busybox\nRUN nslookup shut | grep 10.211.7.9\n");
    await slipway.run(["build", "--network", "inner", "."]);
    // Whoever makes a way of his own does not get out either.
    await slipway.run([
      "run",
      "--rm",
      "--privileged",
      "--network",
      "inner",
      "busybox",
      "sh",
      "-c",
      `ip route add default via 10.211.7.1 && ! (printf 'GET / HTTP/1.0\\r\\n\\r\\n' | timeout 1 nc ${open} 80 | grep open)`,
    ]);
    expect(
      (await slipway.run(["run", "--rm", "--network", "inner", "--ip", "10.211.7.9", "busybox", "true"], { exit: 125 }))
        .stderr,
    ).toContain("10.211.7.9 is already in use");

    expect(await slipway.text("run", "--rm", "--network", "none", "busybox", "ls", "/sys/class/net")).toBe("lo");
    const joined = ["run", "--rm", "--network", "container:open", "busybox"];
    expect(await slipway.text(...joined, "hostname")).toBe(await slipway.text("exec", "open", "hostname"));
    expect(await slipway.text(...joined, "sh", "-c", "ip addr show eth0")).toContain(`inet ${open}/`);
    expect(
      (await slipway.run([...joined.slice(0, 2), "-p", "80", ...joined.slice(2)], { exit: 125 })).stderr,
    ).toContain("conflicting options: port publishing and the container type network mode");
  },
);

e2e(
  "a running container is put into networks and taken out of them, and a later start finds it where it was",
  async (slipway) => {
    await slipway.run(["network", "create", "--ipv6", "one"]);
    await slipway.run(["network", "create", "two"]);
    await slipway.run(["run", "-d", "--name", "peer", "--network", "two", ...server("peer")]);
    await slipway.run(["run", "-d", "--name", "mover", "--network", "one", "busybox", "sleep", "600"]);
    expect(await ask(slipway, "mover", "peer")).toBe("");
    await slipway.run(["network", "connect", "--alias", "guest", "two", "mover"]);
    expect(await ask(slipway, "mover", "peer")).toBe("peer");
    expect(await slipway.text("exec", "peer", "nslookup", "guest")).toContain(await addressOf(slipway, "mover", "two"));
    await slipway.run(["network", "connect", "two", "mover"], { exit: 1 });
    expect(await slipway.text("exec", "mover", "ip", "-6", "addr", "show", "eth0")).toContain("inet6 fd");

    await slipway.run(["network", "disconnect", "one", "mover"]);
    expect(await slipway.text("exec", "mover", "ls", "/sys/class/net")).toBe("eth1\nlo");
    expect(await slipway.text("exec", "mover", "ip", "route")).toContain("default via");
    expect(await ask(slipway, "mover", "peer")).toBe("peer"); // by the server of the network that is left
    await slipway.run(["restart", "-t", "0", "mover"]);
    expect(await slipway.text("exec", "mover", "ls", "/sys/class/net")).toBe("eth0\nlo");
    expect(await ask(slipway, "mover", "peer")).toBe("peer");
    await slipway.run(["network", "disconnect", "two", "mover"]);
    expect(await slipway.text("exec", "mover", "ls", "/sys/class/net")).toBe("lo");
    await slipway.run(["network", "rm", "one"]);
  },
);

e2e(
  "whatever is killed, rm -f leaves no device, no port and no name; devices that a reboot took come back",
  async (slipway) => {
    await slipway.run(["network", "create", "frail"]);
    const keeper = await slipway.text("run", "-d", "--name", "keeper", "--network", "frail", "busybox", "sleep", "600");
    const attached = Bun.spawn(
      [slipwayPath, "run", "--name", "frail1", "--network", "frail", "-P", "--expose", "80", ...server("x")],
      {
        env: slipway.env,
        stdio: ["ignore", "ignore", "ignore"],
      },
    );
    await until(async () => (await slipway.text("ps", "-q", "--filter", "name=frail1")) !== "");
    const port = await portOf(slipway, "frail1");
    await until(async () => (await fetchText(port)) === "x");
    const id = await slipway.text("inspect", "-f", "{{.Id}}", "frail1");
    const address = await addressOf(slipway, "frail1", "frail");
    const pid = Number(await slipway.text("inspect", "-f", "{{.State.Pid}}", "frail1"));
    const conmon = Number(readFileSync(`${slipway.root}/monitors/${id}`, "utf8"));
    expect(existsSync(device(address))).toBe(true);
    attached.kill("SIGKILL");
    process.kill(conmon, "SIGKILL");
    process.kill(pid, "SIGKILL");
    await slipway.run(["rm", "-f", "frail1"]);
    await until(() => !existsSync(device(address)));
    expect(await fetchText(port)).toBe("refused");
    const run = "/run/slipway/network";
    expect(existsSync(`${run}/ports/${id}.json`)).toBe(false);
    const names = (): string =>
      readdirSync(`${run}/dns`)
        .map((file) => readFileSync(`${run}/dns/${file}`, "utf8"))
        .join("");
    expect([names().includes(id), names().includes(keeper)]).toEqual([false, true]);

    // What a reboot leaves: records, and no device.
    await slipway.run(["kill", "keeper"]);
    const network = await slipway.text("network", "inspect", "-f", "{{.Id}}", "frail");
    Bun.spawnSync(["ip", "link", "del", `sl-${network.slice(0, 12)}`]);
    await slipway.run(["start", "keeper"]);
    expect(await slipway.text("exec", "keeper", "nslookup", "keeper")).toContain(
      await addressOf(slipway, "keeper", "frail"),
    );
    expect(existsSync("/sys/class/net/lo")).toBe(true);
  },
);
