import { expect, test } from "bun:test";
import { networkFiles, resolvConf } from "./networkFiles.ts";

const nothing = { servers: [], search: [], options: [] };

test("a container asks the host's servers, but none at the host's loopback, and those that it is given instead", () => {
  const main = "# comment\nnameserver 127.0.0.53\nsearch example.org lan\noptions edns0 trust-ad\n";
  const systemd = "nameserver 10.0.0.53\n";
  const rest = "search example.org lan\noptions edns0 trust-ad\n";
  expect(resolvConf(nothing, true, { main, systemd })).toBe(main);
  expect(resolvConf(nothing, false, { main, systemd })).toBe(`nameserver 10.0.0.53\n${rest}`);
  expect(resolvConf(nothing, false, { main, systemd: "" })).toBe(`nameserver 8.8.8.8\nnameserver 8.8.4.4\n${rest}`);
  expect(resolvConf(nothing, false, { main: "nameserver 127.0.0.1\nnameserver 1.1.1.1\n", systemd })).toBe(
    "nameserver 1.1.1.1\n",
  );
  const given = { servers: ["9.9.9.9"], search: ["."], options: ["ndots:2"] };
  expect(resolvConf(given, false, { main, systemd })).toBe("nameserver 9.9.9.9\noptions ndots:2\n");
  expect(resolvConf({ ...given, servers: [] }, true, { main, systemd })).toBe(
    "nameserver 127.0.0.53\noptions ndots:2\n",
  );
  expect(resolvConf({ ...nothing, servers: ["10.1.0.1"], containerNames: true }, false, { main, systemd })).toBe(
    "nameserver 10.1.0.1\nsearch example.org lan\noptions edns0 trust-ad ndots:0\n",
  );
});

test("/etc/hosts has the container's own name at each of its addresses, and the host by host-gateway", () => {
  const { hosts } = networkFiles({
    hostname: "web",
    domainname: "example.org",
    addHosts: ["up:host-gateway", "other=[fd00::7]"],
    ownHosts: false,
    addresses: ["10.1.0.2", "fd00::2"],
    hostGateway: "10.1.0.1",
  });
  expect(hosts).toStartWith("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
  expect(hosts).toEndWith(
    "10.1.0.1\tup\nfd00::7\tother\n10.1.0.2\tweb.example.org web\nfd00::2\tweb.example.org web\n",
  );
});
