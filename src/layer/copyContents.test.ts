import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { AT_FDCWD, O_CREAT, O_RDONLY, O_RDWR, SEEK_CUR, SEEK_SET } from "../linux/constants.ts";
import { createLinux } from "../linux/createLinux.ts";
import { copyContents } from "./copyContents.ts";

const linux = createLinux();
const MIB = 1024 * 1024;

/** A file with `text` at each offset, copied by `copyContents` behind `before` bytes that are there: its path. */
function copied(source: string, target: string, size: number, offsets: number[], before = 0): void {
  const from = linux.openat(AT_FDCWD, source, O_RDWR | O_CREAT, 0o600);
  const to = linux.openat(AT_FDCWD, target, O_RDWR | O_CREAT, 0o600);
  try {
    linux.ftruncate(from, size);
    for (const offset of offsets) {
      linux.lseek(from, offset, SEEK_SET);
      linux.write(from, Buffer.from(`text at ${offset}`).subarray(0, size - offset));
    }
    linux.lseek(from, 0, SEEK_SET);
    linux.write(to, new Uint8Array(before).fill(7));
    copyContents(linux, from, to, size);
    expect([linux.lseek(from, 0, SEEK_CUR), linux.lseek(to, 0, SEEK_CUR)]).toEqual([size, before + size]);
  } finally {
    linux.close(from);
    linux.close(to);
  }
}

test("a copy has the same bytes and no more of the disk, wherever the holes are and whatever file system it goes to", () =>
  withTempDirectory((directory) => {
    const shapes: [number, number[]][] = [
      [4 * MIB, [MIB]],
      [4 * MIB, []],
      [4 * MIB + 3, [0, 2 * MIB, 4 * MIB - 5]],
      [70_000, [0, 69_999]],
      [1000, [10]],
      [0, []],
    ];
    const elsewhere = existsSync("/dev/shm") ? mkdtempSync("/dev/shm/slipway-copy-") : directory;
    try {
      for (const [i, [size, offsets]] of shapes.entries()) {
        for (const [place, before] of [
          [directory, 0],
          [directory, 100],
          [elsewhere, 0],
        ] as const) {
          const [source, target] = [join(directory, `from${i}`), join(place, `to${i}${before}`)];
          copied(source, target, size, offsets, before);
          expect(Buffer.compare(readFileSync(target).subarray(before), readFileSync(source))).toBe(0);
          expect(statSync(target).size).toBe(before + size);
          expect(statSync(target).blocks * 512).toBeLessThanOrEqual(statSync(source).blocks * 512 + 32 * 1024);
        }
      }
    } finally {
      if (elsewhere !== directory) rmSync(elsewhere, { recursive: true });
    }
  }));

test("a file that has become shorter is copied as far as it goes, and no more than was asked for is", () =>
  withTempDirectory((directory) => {
    const [source, target] = [join(directory, "from"), join(directory, "to")];
    writeFileSync(source, Buffer.alloc(MIB, 1));
    for (const [asked, got] of [
      [2 * MIB, MIB],
      [MIB / 2, MIB / 2],
      [100, 100],
    ] as const) {
      rmSync(target, { force: true });
      const from = linux.openat(AT_FDCWD, source, O_RDONLY);
      const to = linux.openat(AT_FDCWD, target, O_RDWR | O_CREAT, 0o600);
      copyContents(linux, from, to, asked);
      linux.close(from);
      linux.close(to);
      expect(readFileSync(target)).toEqual(Buffer.alloc(got, 1));
    }
  }));
