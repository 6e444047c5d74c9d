import { expect, test } from "bun:test";
import { parseExpose, parsePublish, portsText } from "./networkPorts.ts";

/** `ADDRESS|FIRST-LAST>PORT/PROTOCOL` of each. */
const read = (text: string): string[] =>
  parsePublish(text).map(
    (each) => `${each.hostAddress}|${each.hostFirst}-${each.hostLast}>${each.port}/${each.protocol}`,
  );

test("-p is read in all of Docker's forms", () => {
  expect(read("80")).toEqual(["|0-0>80/tcp"]);
  expect(read("8080:80")).toEqual(["|8080-8080>80/tcp"]);
  expect(read("8080:80/udp")).toEqual(["|8080-8080>80/udp"]);
  expect(read("127.0.0.1:8080:80")).toEqual(["127.0.0.1|8080-8080>80/tcp"]);
  expect(read("127.0.0.1::80")).toEqual(["127.0.0.1|0-0>80/tcp"]);
  expect(read("[::1]:8080:80/sctp")).toEqual(["::1|8080-8080>80/sctp"]);
  expect(read("8000-8002:80-82")).toEqual(["|8000-8000>80/tcp", "|8001-8001>81/tcp", "|8002-8002>82/tcp"]);
  expect(read("8000-8010:80")).toEqual(["|8000-8010>80/tcp"]);
  expect(read("80-81")).toEqual(["|0-0>80/tcp", "|0-0>81/tcp"]);
  expect(read("0:80")).toEqual(["|0-0>80/tcp"]);
});

test("what is no port is refused with the reason", () => {
  for (const [text, why] of [
    ["", "no port specified"],
    ["8080:", "no port specified"],
    ["x:80", "invalid hostPort: x"],
    ["80:70000", "invalid containerPort: 70000"],
    ["80/icmp", "invalid proto: icmp"],
    ["8000-8001:80-82", "invalid ranges specified for container and host Ports: 80-82 and 8000-8001"],
    ["host:80:80", "invalid IP address: host"],
    ["90-80", "invalid containerPort: 90-80"],
    ["::1:80:80", "it has too many colons"],
  ] as const)
    expect(() => parsePublish(text), text).toThrow(why);
  expect(parseExpose("8000-8001/UDP")).toEqual(["8000/udp", "8001/udp"]);
  expect(() => parseExpose("a")).toThrow("invalid range format for --expose: a");
});

test("the PORTS column puts neighbours together, published ones with where they lead from", () => {
  const at = (hostPort: number, port: number, hostAddress = "0.0.0.0", protocol = "tcp" as const) => ({
    hostPort,
    port,
    hostAddress,
    protocol,
  });
  expect(portsText([], ["80/tcp", "81/tcp", "53/udp"])).toBe("53/udp, 80-81/tcp");
  expect(portsText([at(8080, 80), at(8080, 80, "::")], ["80/tcp", "443/tcp"])).toBe(
    "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, 443/tcp",
  );
  expect(portsText([at(9001, 81), at(9000, 80), at(7000, 82)], [])).toBe(
    "0.0.0.0:9000-9001->80-81/tcp, 0.0.0.0:7000->82/tcp",
  );
});
