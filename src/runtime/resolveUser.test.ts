import { describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { AT_FDCWD, O_DIRECTORY, O_PATH } from "../linux/constants.ts";
import { createLinux } from "../linux/createLinux.ts";
import { type ResolvedUser, resolveUser } from "./resolveUser.ts";

const linux = createLinux();

async function inRoot<T>(
  make: (root: string) => void,
  work: (resolve: (user: string) => ResolvedUser) => T,
): Promise<T> {
  return withTempDirectory((root) => {
    mkdirSync(`${root}/etc`);
    make(root);
    const fd = linux.openat(AT_FDCWD, root, O_PATH | O_DIRECTORY);
    try {
      return work((user) => resolveUser(linux, fd, user));
    } finally {
      linux.close(fd);
    }
  });
}

const usual = (root: string): void => {
  writeFileSync(
    `${root}/etc/passwd`,
    "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1001::/home/ann:\n# comment\nbroken\n1000:x:7:7::/seven:\n",
  );
  writeFileSync(`${root}/etc/group`, "root:x:0:\nann:x:1001:\nwheel:x:10:root,ann\nvideo:x:44:ann\n");
};

describe("resolveUser", () => {
  test("without a user is root", async () => {
    await inRoot(usual, (resolve) => {
      expect(resolve("")).toEqual({ uid: 0, gid: 0, additionalGids: [0, 10], home: "/root" });
    });
  });
  test("finds a name with all its groups, its own first", async () => {
    await inRoot(usual, (resolve) => {
      expect(resolve("ann")).toEqual({ uid: 1000, gid: 1001, additionalGids: [1001, 10, 44], home: "/home/ann" });
    });
  });
  test("takes a user called by digits before the number", async () => {
    await inRoot(usual, (resolve) => expect(resolve("1000").uid).toBe(7));
  });
  test("a number that nobody has stands for itself, in group 0", async () => {
    await inRoot(usual, (resolve) => {
      expect(resolve("4242")).toEqual({ uid: 4242, gid: 0, additionalGids: [0], home: "/" });
    });
  });
  test("a group that is given replaces the user's", async () => {
    await inRoot(usual, (resolve) => {
      expect(resolve("ann:video")).toMatchObject({ uid: 1000, gid: 44, additionalGids: [44] });
      expect(resolve("ann:99")).toMatchObject({ gid: 99 });
    });
  });
  test("an unknown name is an error, and so is a number out of range", async () => {
    await inRoot(usual, (resolve) => {
      expect(() => resolve("bob")).toThrow("unable to find user bob: no matching entries in passwd file");
      expect(() => resolve("ann:staff")).toThrow("unable to find group staff");
      expect(() => resolve("4294967296")).toThrow();
    });
  });
  test("an image without the files still runs by number", async () => {
    await inRoot(
      () => undefined,
      (resolve) => expect(resolve("5:6")).toEqual({ uid: 5, gid: 6, additionalGids: [6], home: "/" }),
    );
  });
  test("a link leads nowhere outside the root", async () => {
    await inRoot(
      (root) => symlinkSync("/../../../../../../etc/passwd", `${root}/etc/passwd`),
      // Inside the root the link names itself.
      (resolve) => expect(() => resolve("daemon")).toThrow(),
    );
  });
  test("a FIFO in the file's place is refused and nobody waits", async () => {
    await inRoot(
      (root) => linux.mkfifo(`${root}/etc/passwd`, 0o644),
      (resolve) => expect(() => resolve("root")).toThrow("no regular file"),
    );
  });
});
