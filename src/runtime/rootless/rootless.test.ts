import { afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLinux } from "../../linux/createLinux.ts";
import { inUserNamespace, mappedIds } from "../../linux/userNamespace.ts";
import { processStart } from "../../linux/processStart.ts";
import { unmappedOwner } from "../../layer/unmappedOwner.ts";
import { rootlessSpec } from "../spec.ts";
import { namespaceFile, readNamespace, secureRunDirectory } from "./namespaceRecord.ts";
import { outsideLinux } from "./outsideLinux.ts";
import { parseSubordinates, userName } from "./subordinateIds.ts";

test("subordinate ids are found by name and by number, several ranges in their order, and what is no range is passed over", () => {
  const text = "ann:100000:65536\nbob:1:1\n1000:300000:10\nann:0:5\nann:x:5\nann:7\n\nannabel:5:5\n";
  expect(parseSubordinates(text, { id: 1000, name: "ann" })).toEqual([
    { outside: 100000, length: 65536 },
    { outside: 300000, length: 10 },
  ]);
  expect(parseSubordinates(text, { id: 7, name: "" })).toEqual([]);
  expect(userName(1000, "root:x:0:0::/:\nann:x:1000:1000::/home/ann:/bin/sh\n")).toBe("ann");
  expect(userName(1001, "ann:x:1000:1000::/home/ann:/bin/sh\n")).toBe("");
});

test("the machine's first namespace is told from all others, and an owner that one has not is named with those it has", () => {
  expect(inUserNamespace(mappedIds("         0          0 4294967295\n"))).toBe(false);
  const mapped = mappedIds("         0       1001          1\n         1     100000      65536\n");
  expect(inUserNamespace(mapped)).toBe(true);
  expect(inUserNamespace(mappedIds("0 0 65536\n"))).toBe(true);
  expect(unmappedOwner(65536, 0, mapped)).toBeUndefined();
  expect(unmappedOwner(0, 65537, mapped)?.message).toBe(
    "the owner 0:65537 is none of the ids that this user has here (0, 1 to 65536)",
  );
  expect([
    rootlessSpec(mapped),
    rootlessSpec(mappedIds("0 1001 1\n")),
    rootlessSpec(mappedIds("0 0 4294967295")),
  ]).toEqual([{ rootless: { ttyGroup: true } }, { rootless: { ttyGroup: false } }, {}]);
});

test("a process outside begins anew at the first call that takes ids or mounts, and at no other", () => {
  const linux = outsideLinux(createLinux(), () => {
    throw new Error("anew");
  });
  expect(linux.statat(-100, "/").mode).toBeGreaterThan(0);
  expect(() => linux.fchownat(-100, "/", 0, 0)).toThrow("anew");
  expect(() => linux.fsopen("overlay")).toThrow("anew");
  expect(() => linux.unshare(0)).toThrow("anew");
});

describe.skipIf(process.getuid?.() !== 0)("the run directory of a user", () => {
  // Root's own is /run/slipway whatever the environment says, so the user that it is made for is one who is not root.
  const before = process.env.XDG_RUNTIME_DIR;
  afterEach(() => {
    if (before === undefined) delete process.env.XDG_RUNTIME_DIR;
    else process.env.XDG_RUNTIME_DIR = before;
  });

  test("is made for its owner alone; one that others may write to, or that is a link, is refused", () => {
    const base = mkdtempSync(join(tmpdir(), "slipway-run-"));
    const original = process.getuid;
    try {
      process.env.XDG_RUNTIME_DIR = base;
      process.getuid = () => 4242;
      expect(namespaceFile()).toBe(`${base}/slipway/namespace`);
      expect(() => secureRunDirectory()).toThrow("is not this user's alone"); // root made it, not 4242
      expect(statSync(`${base}/slipway`).mode & 0o777).toBe(0o700);
      const own = { pid: process.pid, start: processStart(process.pid) as number, ids: "mapped" as const };
      writeFileSync(namespaceFile(), JSON.stringify(own));
      expect(readNamespace()).toEqual(own);
      writeFileSync(namespaceFile(), JSON.stringify({ ...own, start: own.start - 1 }));
      expect(readNamespace()).toBeUndefined(); // another process has that pid now
      writeFileSync(namespaceFile(), "{");
      expect(readNamespace()).toBeUndefined();
      rmSync(`${base}/slipway`, { recursive: true });
      mkdirSync(`${base}/other`, { mode: 0o700 });
      symlinkSync("other", `${base}/slipway`);
      expect(() => secureRunDirectory()).toThrow("is not this user's alone");
    } finally {
      if (original !== undefined) process.getuid = original;
      rmSync(base, { recursive: true, force: true });
    }
  });
});
