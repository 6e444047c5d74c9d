import { expect, test } from "bun:test";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { DEFAULT_CAPABILITIES } from "./capabilities.ts";
import { effectiveCapabilities, type IsolationWish, worksByChroot } from "./isolation.ts";

const docker = () => DEFAULT_CAPABILITIES;
const all = () => [...DEFAULT_CAPABILITIES, "CAP_SYS_ADMIN"];
const restricted = () => ["CAP_NET_BIND_SERVICE"];

test.each<[IsolationWish | undefined, number, () => string[], boolean | string]>([
  [undefined, 0, docker, true],
  ["auto", 0, all, false],
  ["auto", 1000, restricted, false],
  ["auto", 0, restricted, false],
  ["chroot", 0, docker, true],
  ["chroot", 0, all, true],
  ["chroot", 0, restricted, "CAP_CHOWN"],
  ["chroot", 1000, restricted, "needs root"],
  ["oci", 0, all, false],
  ["oci", 0, docker, "CAP_SYS_ADMIN"],
  ["rootless", 0, all, "for users"],
  ["rootless", 1000, restricted, false],
])(
  "with --isolation %p uid %p works by chroot only where it must or is told to",
  (wish, uid, capabilities, expected) => {
    const ask = (): boolean => worksByChroot(wish, { uid, capabilities, ofUser: () => false });
    if (typeof expected === "boolean") expect(ask()).toBe(expected);
    else {
      expect(ask).toThrow(SlipwayError);
      expect(ask).toThrow(expected);
    }
  },
);

test("capabilities in effect are read from the mask of the kernel", () => {
  expect(effectiveCapabilities("CapEff:\t00000000a80425fb\n").sort()).toEqual([...DEFAULT_CAPABILITIES].sort());
});
