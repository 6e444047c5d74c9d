import { afterEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { cgroupTrees, checkLimits, removeCgroup } from "./cgroup.ts";
import { cgroupName } from "./cgroupName.ts";
import { cgroupUsage } from "./cgroupUsage.ts";
import type { Resources } from "./resources.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const each of cleanups.splice(0)) each();
});

/** A tree of control groups as plain files. */
function tree(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), "slipway-cgroup-"));
  cleanups.push(() => rmSync(root, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

/** Debian 12 with systemd: one cgroup2 tree, all controllers. */
function debian(files: Record<string, string> = {}) {
  const mount = tree({
    "cgroup.procs": "1\n",
    "cgroup.controllers": "cpuset cpu io memory hugetlb pids rdma misc\n",
    "cpuset.cpus.effective": "0-1\n",
    ...files,
  });
  const mountinfo = `24 1 254:0 / / rw - ext4 /dev/vda rw\n30 24 0:26 / ${mount} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n`;
  return { mount, trees: cgroupTrees(mountinfo) };
}

test("a limit that cgroup version 2 has no file for, a controller or a processor that is not there, is refused by its flag's name", () => {
  const { mount, trees } = debian();
  expect(trees).toEqual({
    v1: new Map(),
    v2: { mount, controllers: ["cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc"] },
  });
  const all: Resources = {
    memory: { limit: 1, swap: 2, reservation: 1 },
    cpu: { shares: 2, quota: 1, period: 2, cpus: "0-1", mems: "0" },
    pids: { limit: 1 },
    blockIO: { weight: 300, throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1 }] },
  };
  expect(() => checkLimits(all, trees)).not.toThrow();
  const complaint = (resources: Resources, where = trees): string => {
    try {
      checkLimits(resources, where);
      return "";
    } catch (error) {
      expect(error).toMatchObject({ code: "LIMIT_UNAVAILABLE", exitCode: 125 });
      return (error as Error).message;
    }
  };
  expect(complaint({ memory: { swappiness: 10 } })).toStartWith("--memory-swappiness cannot be applied");
  expect(complaint({ memory: { disableOOMKiller: true } })).toStartWith("--oom-kill-disable cannot be applied");
  expect(complaint({ cpu: { realtimeRuntime: 1000 } })).toStartWith("--cpu-rt-runtime cannot be applied");
  expect(complaint({ cpu: { cpus: "1,7" } })).toBe("Requested CPUs are not available - requested 1,7, available: 0-1");
  const fewer = debian({ "cgroup.controllers": "cpu memory pids\n" }).trees;
  expect(complaint({ cpu: { cpus: "0" } }, fewer)).toStartWith("--cpuset-cpus cannot be applied");
  expect(complaint({ blockIO: { weight: 300 } }, fewer)).toStartWith("--blkio-weight cannot be applied");
});

test("no container's group is directly under the tree's root, where systemd takes controllers away", () => {
  expect(["/", "", undefined, "/foo/", "foo.slice"].map((parent) => cgroupName("id", parent))).toEqual([
    "slipway/id",
    "slipway/id",
    "slipway/id",
    "foo/id",
    "foo.slice/id",
  ]);
});

test("what a group has used is read in version 2 and in version 1; what no file says is left out", () => {
  const v2 = tree({
    "cpu.stat": "usage_usec 1500000\nuser_usec 1\n",
    "memory.current": "5000\n",
    "memory.stat": "anon 4000\ninactive_file 900\nactive_file 100\n",
    "io.stat": "254:0 rbytes=100 wbytes=20 rios=1 wios=1\n8:0 rbytes=1 wbytes=2 rios=1 wios=1\n",
  });
  expect(cgroupUsage([v2])).toEqual({ cpuMicroseconds: 1_500_000, memory: 4100, blockIn: 101, blockOut: 22 });
  const cpu = tree({ "cpuacct.usage": "2000000\n" });
  const memory = tree({ "memory.usage_in_bytes": "5000\n", "memory.stat": "total_inactive_file 6000\n" });
  const blkio = tree({ "blkio.throttle.io_service_bytes": "8:0 Read 7\n8:0 Write 8\n8:0 Total 15\nTotal 15\n" });
  expect(cgroupUsage([cpu, memory, blkio])).toEqual({ cpuMicroseconds: 2000, memory: 0, blockIn: 7, blockOut: 8 });
  expect(cgroupUsage([join(v2, "gone")])).toEqual({});
});

test("a group goes with the groups that its container has made in it", () => {
  const root = tree({});
  mkdirSync(join(root, "slipway/id/system.slice/a.service"), { recursive: true });
  expect(removeCgroup([join(root, "slipway/id"), join(root, "gone")])).toBe(true);
  expect(existsSync(join(root, "slipway/id"))).toBe(false);
  expect(existsSync(join(root, "slipway"))).toBe(true);
});
