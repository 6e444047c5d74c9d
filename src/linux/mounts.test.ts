import { afterEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AT_FDCWD,
  MNT_DETACH,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MS_BIND,
  MS_NODEV,
  MS_RDONLY,
  MS_REC,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  S_IFCHR,
} from "./constants.ts";
import { createLinux } from "./createLinux.ts";

const linux = createLinux();
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const each of cleanups.splice(0).reverse()) each();
});

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), "slipway-mount-"));
  cleanups.push(() => rmSync(path, { recursive: true }));
  return path;
}

function opened(fd: number): number {
  cleanups.push(() => linux.close(fd));
  return fd;
}

function mounted(target: string): string {
  cleanups.push(() => linux.umount(target, MNT_DETACH));
  return target;
}

/** Options of the mount at `path`, as the kernel shows them: the mount's own, then the file system's. */
function mountOptions(path: string): string[] {
  const line = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .findLast((each) => each.split(" ")[4] === path);
  return (line?.split(" ")[5] ?? "none").split(",");
}

test("mount(2) mounts a file system with its options, binds one, and umount takes it away", () => {
  const path = directory();
  for (const name of ["fs", "bound"]) mkdirSync(join(path, name));
  linux.mount("tmpfs", mounted(join(path, "fs")), "tmpfs", MS_NODEV, "size=64k,mode=710");
  expect(linux.statat(AT_FDCWD, join(path, "fs")).mode & 0o7777).toBe(0o710);
  expect(mountOptions(join(path, "fs"))).toContain("nodev");
  const fd = linux.openat(AT_FDCWD, join(path, "fs/f"), O_RDWR | O_CREAT, 0o600);
  expect(() => linux.write(fd, new Uint8Array(1 << 20))).toThrow("ENOSPC");
  expect(() => linux.umount(join(path, "fs"))).toThrow("EBUSY");
  linux.close(fd);
  linux.mount(join(path, "fs"), mounted(join(path, "bound")), "", MS_BIND | MS_REC);
  expect(readdirSync(join(path, "bound"))).toEqual(["f"]);
  expect(() => linux.renameat2(AT_FDCWD, join(path, "bound/f"), AT_FDCWD, join(path, "f"))).toThrow("EXDEV");
  expect(() => linux.unlinkat(AT_FDCWD, join(path, "bound"), true)).toThrow("EBUSY");
});

test("a read-only file system says so; room is reserved where that can be and not missed where it cannot", () => {
  const path = directory();
  mkdirSync(join(path, "ro"));
  mkdirSync(join(path, "ram"));
  linux.mount("tmpfs", mounted(join(path, "ro")), "tmpfs", MS_RDONLY);
  expect(() => linux.mkdirat(AT_FDCWD, join(path, "ro/d"), 0o700)).toThrow("EROFS");
  linux.mount("ramfs", mounted(join(path, "ram")), "ramfs", 0);
  linux.preallocate(opened(linux.openat(AT_FDCWD, join(path, "ram/f"), O_RDWR | O_CREAT, 0o600)), 1 << 20);
});

test("what cannot be mounted is refused with the kernel's reason, and options that would be cut short are not tried", () => {
  const path = directory();
  expect(() => linux.mount("x", path, "no-such-type", 0)).toThrow(`mount ${JSON.stringify(path)}: ENODEV`);
  expect(() => linux.mount("tmpfs", join(path, "none"), "tmpfs", 0)).toThrow("ENOENT");
  expect(() => linux.mount("tmpfs", path, "tmpfs", 0, `size=64k,${"x".repeat(4096)}`)).toThrow("E2BIG");
  expect(() => linux.umount(path)).toThrow("EINVAL");
  expect(mountOptions(path)).toEqual(["none"]);
});

test("a file system context becomes a detached mount that is usable by its descriptor, and can be attached", () => {
  const path = directory();
  const context = opened(linux.fsopen("tmpfs"));
  linux.fsconfigString(context, "size", "64k");
  linux.fsconfigFlag(context, "inode64");
  linux.fsconfigCreate(context);
  const mountfd = opened(linux.fsmount(context, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID));
  linux.mkdirat(mountfd, "d", 0o700);
  linux.mknodat(mountfd, "null", S_IFCHR | 0o600, 1, 3);
  expect(() => linux.openat(mountfd, "null", O_RDONLY)).toThrow("EACCES");
  expect(linux.readdir(opened(linux.openat(mountfd, ".", O_RDONLY))).map(({ name }) => name)).toEqual(["null", "d"]);
  expect(readdirSync(path)).toEqual([]);
  linux.moveMount(mountfd, mounted(path));
  expect(readdirSync(path).sort()).toEqual(["d", "null"]);
  expect(mountOptions(path)).toEqual(expect.arrayContaining(["nodev", "nosuid"]));
  const readOnly = opened(linux.fsopen("tmpfs"));
  linux.fsconfigCreate(readOnly);
  const view = opened(linux.fsmount(readOnly, MOUNT_ATTR_RDONLY));
  expect(() => linux.mkdirat(view, "d", 0o700)).toThrow("EROFS");
});

test("a context explains in words what it refuses", () => {
  expect(() => linux.fsopen("no-such-type")).toThrow('fsopen "no-such-type": ENODEV');
  const context = opened(linux.fsopen("tmpfs"));
  expect(() => linux.fsconfigString(context, "size", "much")).toThrow('fsconfig "size=much": EINVAL');
  expect(() => linux.fsconfigFlag(context, "what")).toThrow('fsconfig "what": EINVAL');
  const said = linux.fsMessages(context).split("\n");
  expect(said).toEqual([expect.stringContaining("size"), expect.stringContaining("what")]);
  expect(linux.fsMessages(context)).toBe("");
  expect(() => linux.fsmount(context, 0)).toThrow("EINVAL");
  expect(() => linux.fsconfigString(context, "size", "x".repeat(256))).toThrow("EINVAL");
});

test("a copy of a mount outlives it, with what is mounted below only where that is asked", () => {
  const path = directory();
  linux.mount("tmpfs", path, "tmpfs", 0);
  mkdirSync(join(path, "below"));
  linux.mount("tmpfs", join(path, "below"), "tmpfs", 0);
  writeFileSync(join(path, "below/f"), "");
  const flat = opened(linux.openTree(AT_FDCWD, path));
  const whole = opened(linux.openTree(AT_FDCWD, path, true));
  const again = opened(linux.openTree(whole, "", true));
  linux.umount(path, MNT_DETACH);
  expect(existsSync(join(path, "below"))).toBe(false);
  expect(linux.statatOrUndefined(flat, "below/f")).toBeUndefined();
  for (const each of [whole, again]) expect(linux.statatOrUndefined(each, "below/f")).toBeDefined();
  expect(() => linux.openTree(AT_FDCWD, join(path, "none"))).toThrow("ENOENT");
});

/** Runs `code` in a process of its own, with `linux` and the constants at hand. */
async function child(code: string, args: string[] = [], terminal?: Bun.Terminal): Promise<[number, string]> {
  const room = JSON.stringify(import.meta.dir);
  const script = `const { createLinux } = await import(${room} + "/createLinux.ts"); const c = await import(${room} + "/constants.ts");
    const linux = createLinux(); const fs = await import("node:fs"); const args = process.argv.slice(1); ${code}`;
  const stdio = terminal === undefined ? { stdout: "pipe" as const, stderr: "inherit" as const } : { terminal };
  const process_ = Bun.spawn([process.execPath, "-e", script, ...args], stdio);
  const said = process_.stdout instanceof ReadableStream ? await new Response(process_.stdout).text() : "";
  return [await process_.exited, said];
}

test("a mount in a namespace of its own is nobody else's, and the way back leads out of it; exit ends all at once", async () => {
  const path = directory();
  const [code, said] = await child(
    `const before = linux.openat(c.AT_FDCWD, "/proc/thread-self/ns/mnt", c.O_RDONLY);
    linux.unshare(c.CLONE_NEWNS);
    linux.mount("", "/", "", c.MS_REC | c.MS_SLAVE);
    linux.mount("tmpfs", args[0], "tmpfs", 0);
    fs.writeFileSync(args[0] + "/inside", "");
    const seen = [fs.readdirSync(args[0])];
    linux.unshare(c.CLONE_FS);
    linux.setns(before, c.CLONE_NEWNS);
    seen.push(fs.readdirSync(args[0]));
    for (const call of [() => linux.setns(before, c.CLONE_FS), () => linux.unshare(1)])
      try { call(); } catch (error) { seen.push(error.message); }
    fs.writeSync(1, JSON.stringify(seen));
    process.on("exit", () => fs.writeSync(1, "wound up"));
    linux.exit(42);`,
    [path],
  );
  expect(code).toBe(42);
  expect(JSON.parse(said)).toEqual([["inside"], [], "setns: EINVAL", "unshare: EINVAL"]);
  expect(readdirSync(path)).toEqual([]);
});

test("a terminal tells its size", async () => {
  let said = "";
  const terminal = new Bun.Terminal({
    cols: 317,
    rows: 45,
    data(_, bytes) {
      said += new TextDecoder().decode(bytes);
    },
  });
  try {
    const script = `const before = linux.getWindowSize(0);
      linux.setWindowSize(0, { rows: 10, columns: 300 });
      console.log(JSON.stringify([before, linux.getWindowSize(0)]))`;
    const [code] = await child(script, [], terminal);
    expect(code).toBe(0);
    expect(JSON.parse(said)).toEqual([
      { rows: 45, columns: 317 },
      { rows: 10, columns: 300 },
    ]);
  } finally {
    terminal.close();
  }
});
