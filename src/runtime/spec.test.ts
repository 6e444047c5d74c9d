import { describe, expect, test } from "bun:test";
import { CAPABILITIES, capabilitiesOfMask, containerCapabilities, DEFAULT_CAPABILITIES } from "./capabilities.ts";
import { sha256 } from "../oci/digest.ts";
import { containerEnvironment } from "./containerEnvironment.ts";
import { defaultSeccomp } from "./seccomp.ts";
import { DEFAULT_PROFILE } from "./seccompOptions.ts";
import { UNLIMITED } from "./rlimits.ts";
import { runtimeSpec, type SpecOptions, specText } from "./spec.ts";

const options: SpecOptions = {
  process: { args: ["sh"], env: ["A=b"], cwd: "/w", user: { uid: 1, gid: 2, additionalGids: [2] }, terminal: false },
  rootfs: "/r",
  readOnlyRoot: false,
  hostname: "h",
  mounts: [],
  network: "host",
  capabilities: DEFAULT_CAPABILITIES,
  privileged: false,
  seccomp: undefined,
  noNewPrivileges: false,
  shmSize: 1024,
  cgroups: true,
  cgroupMount: true,
};

describe("containerCapabilities", () => {
  const ask = (add: string[], drop: string[], privileged = false): string[] =>
    containerCapabilities({ add, drop, privileged, available: CAPABILITIES });

  test("are Docker's fourteen where nothing is asked", () => {
    expect(ask([], []).sort()).toEqual([...DEFAULT_CAPABILITIES].sort());
    expect(ask([], [])).toEqual(capabilitiesOfMask("00000000a80425fb"));
  });
  test("take names with and without prefix, in any case", () => {
    expect(ask(["net_admin", "CAP_SYS_TIME"], ["chown"])).toEqual(
      CAPABILITIES.filter(
        (name) =>
          (DEFAULT_CAPABILITIES.includes(name) && name !== "CAP_CHOWN") ||
          ["CAP_NET_ADMIN", "CAP_SYS_TIME"].includes(name),
      ),
    );
  });
  test("ALL is everything, dropping ALL leaves what is added by name", () => {
    expect(ask(["ALL"], [])).toEqual(CAPABILITIES);
    expect(ask(["ALL"], ["sys_admin"])).not.toContain("CAP_SYS_ADMIN");
    expect(ask(["chown"], ["ALL"])).toEqual(["CAP_CHOWN"]);
    expect(ask([], [], true)).toEqual(CAPABILITIES);
  });
  test("never hold what we do not have ourselves", () => {
    expect(containerCapabilities({ add: ["ALL"], drop: [], privileged: true, available: ["CAP_KILL"] })).toEqual([
      "CAP_KILL",
    ]);
  });
  test("refuse an unknown name", () => {
    expect(() => ask(["fly"], [])).toThrow('unknown capability "fly"');
  });
});

describe("defaultSeccomp", () => {
  const rules = (capabilities: string[], deviceCgroup = true, arch = "x64") =>
    defaultSeccomp({ arch, capabilities, deviceCgroup });
  const allowed = (profile: ReturnType<typeof rules>): string[] =>
    profile.syscalls
      .filter((rule) => rule.action === "SCMP_ACT_ALLOW" && rule.args === undefined)
      .flatMap((rule) => rule.names);

  test("refuses by default, with EPERM", () => {
    expect(rules([])).toMatchObject({ defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 1 });
  });
  test("allows mount only with CAP_SYS_ADMIN, and chroot only with CAP_SYS_CHROOT", () => {
    expect(allowed(rules(DEFAULT_CAPABILITIES))).not.toContain("mount");
    expect(allowed(rules(["CAP_SYS_ADMIN"]))).toContain("mount");
    expect(allowed(rules(DEFAULT_CAPABILITIES))).toContain("chroot");
    expect(allowed(rules([]))).not.toContain("chroot");
  });
  test("answers clone3 with ENOSYS, so that libc takes clone", () => {
    expect(rules([]).syscalls).toContainEqual({ names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: 38 });
  });
  test("knows what is of one architecture only", () => {
    expect(allowed(rules([], true, "x64"))).toContain("arch_prctl");
    expect(allowed(rules([], true, "arm64"))).not.toContain("arch_prctl");
    expect(rules([], true, "arm64").architectures).toEqual(["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]);
  });
  test("allows mknod without conditions only where a device cgroup stands guard", () => {
    expect(allowed(rules([], true))).toContain("mknodat");
    expect(allowed(rules([], false))).not.toContain("mknodat");
    const types = rules([], false)
      .syscalls.filter((rule) => rule.names[0] === "mknodat")
      .map((rule) => rule.args?.[0]?.valueTwo);
    expect(types).not.toContain(0o060000);
  });
  test("has io_uring and keyctl nowhere", () => {
    const all = rules(CAPABILITIES).syscalls.flatMap((rule) => rule.names);
    for (const name of ["io_uring_setup", "keyctl", "add_key", "userfaultfd", "kexec_load"])
      expect(all).not.toContain(name);
  });
});

describe("runtimeSpec", () => {
  test("is the same document for the same record", () => {
    expect(runtimeSpec(options)).toEqual(runtimeSpec(structuredClone(options)));
  });
  test("no limit is 2^64-1 in the text, whatever an argument looks like", () => {
    const args = ['"soft":18446744073709552000'];
    const rlimits = [{ type: "RLIMIT_CORE", soft: UNLIMITED, hard: UNLIMITED }];
    const text = specText(runtimeSpec({ ...options, process: { ...options.process, args }, rlimits }));
    expect(text).toContain('"soft":18446744073709551615,"hard":18446744073709551615}');
    expect(JSON.parse(text).process.args).toEqual(args);
  });
  test("gives no inheritable and no ambient capability", () => {
    expect(runtimeSpec(options).process.capabilities).toMatchObject({ inheritable: [], ambient: [] });
  });
  test("has Docker's masked and read-only paths, which privileged ones lack", () => {
    const plain = runtimeSpec(options);
    expect(plain.linux.maskedPaths).toContain("/proc/kcore");
    expect(plain.linux.readonlyPaths).toContain("/proc/sys");
    const privileged = runtimeSpec({ ...options, privileged: true });
    expect(privileged.linux.maskedPaths).toBeUndefined();
    expect(privileged.mounts.find((mount) => mount.destination === "/sys")?.options).not.toContain("ro");
  });
  test("has a network namespace only without network", () => {
    const types = (network: "host" | "none"): string[] =>
      runtimeSpec({ ...options, network }).linux.namespaces.map((each) => each.type);
    expect(types("host")).not.toContain("network");
    expect(types("none")).toContain("network");
  });
  test("a mount of the caller's takes the place of a default one", () => {
    const spec = runtimeSpec({
      ...options,
      mounts: [{ target: "/dev/shm", type: "bind", source: "/x", readOnly: true }],
    });
    expect(spec.mounts.filter((mount) => mount.destination === "/dev/shm")).toEqual([
      { destination: "/dev/shm", type: "bind", source: "/x", options: ["rbind", "rprivate", "ro"] },
    ]);
  });
  test("opens no device of a mounted directory where no device cgroup stands guard", () => {
    const mounts: SpecOptions["mounts"] = [{ target: "/d", type: "bind", source: "/x", readOnly: false }];
    const last = (more: Partial<SpecOptions>) => runtimeSpec({ ...options, mounts, ...more }).mounts.at(-1)?.options;
    expect(last({ cgroups: false })).toContain("nodev");
    expect(last({ cgroups: true })).not.toContain("nodev");
    expect(last({ cgroups: false, privileged: true })).not.toContain("nodev");
    // A user's root has no devices, and may lie where it cannot be mounted anew without flags that are locked.
    const users = runtimeSpec({ ...options, cgroups: false, readOnlyRoot: true, rootless: { ttyGroup: true } });
    expect([users.root.readonly, users.mounts.some(({ source }) => source === "/")]).toEqual([true, false]);
  });
  test("denies all devices and lets the runtime add the harmless ones", () => {
    expect(runtimeSpec(options).linux.resources?.devices?.[0]).toEqual({ allow: false, access: "rwm" });
    expect(runtimeSpec({ ...options, cgroups: false }).linux.resources).toBeUndefined();
  });
});

describe("containerEnvironment", () => {
  test("has Docker's order, a later value in the earlier one's place", () => {
    expect(
      containerEnvironment({ env: ["A=1", "PATH=/bin", "A=2"], hostname: "h", terminal: true, home: "/root" }),
    ).toEqual(["PATH=/bin", "HOSTNAME=h", "TERM=xterm", "A=2", "HOME=/root"]);
  });
  test("leaves a HOME that was set", () => {
    expect(containerEnvironment({ env: ["HOME=/x"], terminal: false, home: "/root" })).toContain("HOME=/x");
  });
});

test("compiled filters are named by the profile that they are of", () => {
  const profiles = ["x64", "arm64"].flatMap((arch) =>
    [[], ["CAP_SYS_ADMIN"], [...CAPABILITIES]].flatMap((capabilities) =>
      [true, false].map((deviceCgroup) => defaultSeccomp({ arch, capabilities, deviceCgroup })),
    ),
  );
  expect(sha256(JSON.stringify(profiles)).slice("sha256:".length, 23)).toBe(DEFAULT_PROFILE);
});
