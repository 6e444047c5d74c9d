import { expect, test } from "bun:test";
import {
  contains,
  formatAddress,
  formatSubnet,
  lastOf,
  overlap,
  parseAddress,
  parseSubnet,
  type Subnet,
} from "./addresses.ts";

const again = (text: string): string | undefined => {
  const parsed = parseAddress(text);
  return parsed === undefined ? undefined : formatAddress(parsed.address, parsed.family);
};
const subnet = (text: string): Subnet => parseSubnet(text) as Subnet;

test("addresses are read in every spelling and written in one", () => {
  for (const [text, written] of [
    ["10.0.0.1", "10.0.0.1"],
    ["255.255.255.255", "255.255.255.255"],
    ["::", "::"],
    ["::1", "::1"],
    ["FD00:0:0:0:0:0:0:1", "fd00::1"],
    ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
    ["1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"],
    ["::ffff:10.0.0.1", "::ffff:a00:1"],
    ["fe80::", "fe80::"],
  ] as const)
    expect([text, again(text)]).toEqual([text, written]);
  for (const text of [
    "",
    "10.0.0",
    "10.0.0.256",
    "1::2::3",
    "1:2:3",
    "1:2:3:4:5:6:7:8:9",
    "::12345",
    "host",
    "1:2:3:4:5:6:7::8",
  ])
    expect([text, again(text)]).toEqual([text, undefined]);
});

test("subnets know what lies in them", () => {
  expect(formatSubnet(subnet("10.1.2.3/16"))).toBe("10.1.0.0/16");
  expect(formatAddress(lastOf(subnet("10.1.2.3/16")), 4)).toBe("10.1.255.255");
  expect(formatSubnet(subnet("fd00:1::9/64"))).toBe("fd00:1::/64");
  expect(
    ["10.1.0.0", "10.1.255.255", "10.2.0.0", "fd00::1"].map((each) =>
      contains(subnet("10.1.2.3/16"), parseAddress(each) as Subnet),
    ),
  ).toEqual([true, true, false, false]);
  expect(overlap(subnet("10.1.0.0/16"), subnet("10.1.128.0/17"))).toBe(true);
  expect(overlap(subnet("10.1.0.0/16"), subnet("10.0.0.0/8"))).toBe(true);
  expect(overlap(subnet("10.1.0.0/16"), subnet("10.2.0.0/16"))).toBe(false);
  for (const text of ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8", "::/129"])
    expect(parseSubnet(text)).toBeUndefined();
});
