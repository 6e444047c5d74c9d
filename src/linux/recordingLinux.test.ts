import { expect, test } from "bun:test";
import { join } from "node:path";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { AT_FDCWD, O_CREAT, O_RDWR } from "./constants.ts";
import { createLinux } from "./createLinux.ts";
import { recordingLinux } from "./recordingLinux.ts";

test("calls reach the kernel and are kept with their arguments as they were", () =>
  withTempDirectory((directory) => {
    const { linux, take } = recordingLinux(createLinux());
    const path = join(directory, "file");
    const fd = linux.openat(AT_FDCWD, path, O_RDWR | O_CREAT, 0o600);
    const bytes = new TextEncoder().encode("abc");
    linux.write(fd, bytes);
    bytes.fill(0);
    linux.close(fd);
    expect(() => linux.statat(AT_FDCWD, join(directory, "none"))).toThrow("ENOENT");
    expect(linux.statat(AT_FDCWD, path).size).toBe(3);
    expect(take()).toEqual([
      { name: "openat", args: [AT_FDCWD, path, O_RDWR | O_CREAT, 0o600] },
      { name: "write", args: [fd, new TextEncoder().encode("abc")] },
      { name: "close", args: [fd] },
      { name: "statat", args: [AT_FDCWD, join(directory, "none")] },
      { name: "statat", args: [AT_FDCWD, path] },
    ]);
    expect(take()).toEqual([]);
  }));

test("a prepared answer comes in the kernel's place, for the calls it is meant for", () => {
  const { linux, answer, take } = recordingLinux(createLinux());
  answer("fsopen", { value: 77 });
  answer("fsopen", { errno: "ENOSYS" }, { times: 1 });
  expect(() => linux.fsopen("overlay")).toThrow(expect.objectContaining({ code: "ENOSYS", syscall: "fsopen" }));
  expect(linux.fsopen("overlay")).toBe(77);
  answer("close", { value: undefined }, { when: (fd) => fd === 77 });
  linux.close(77);
  expect(() => linux.close(1_000_000)).toThrow("EBADF");
  expect(take().map(({ name }) => name)).toEqual(["fsopen", "fsopen", "close", "close"]);
  expect(() => answer("fsopen", { errno: "EWHAT" })).toThrow("EWHAT is no errno");
});
