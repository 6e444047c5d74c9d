import { expect } from "bun:test";
import type { ImageDiff } from "../../src/engine/images/imageDiff.ts";
import { e2e } from "../support/e2e.ts";
import { writeFiles } from "../support/files.ts";

e2e(
  "image diff tells what differs of files, whatever layers they lie in, and of settings, but no times",
  async (slipway) => {
    writeFiles(slipway.directory, {
      a: "a",
      b: "bb",
      "tree/x": "x",
      "tree/y": "yy",
      "tree/sub/z": "zzz",
      Dockerfile: "",
    });
    const build = (tag: string, lines: string[]) =>
      slipway.run(["build", "-q", "-t", tag, "-f", "-", "."], { input: ["FROM busybox AS base", ...lines].join("\n") });
    await build("one", [
      "COPY a /same",
      "COPY tree /gone",
      "COPY tree /turns",
      "COPY a /d/bytes",
      "COPY --chmod=644 a /d/mode",
      "COPY a /d/owner",
      "RUN ln -s a /d/link && touch -d @1 /d/time",
      "ENV A=1 B=2",
      "LABEL kept=1 old=1",
      "CMD true",
    ]);
    await build("two", [
      "RUN ln -s other /d-link; mkdir d; mv d-link d/link; touch -d @2 /d/time",
      "COPY a /d/bytes",
      "COPY b /d/bytes",
      "COPY --chmod=600 a /d/mode",
      "COPY --chown=7:8 a /d/owner",
      "COPY a /same",
      "COPY tree /new",
      "COPY a /turns",
      "ENV A=1 B=3",
      "LABEL kept=1",
      "CMD true",
    ]);
    const diff: ImageDiff = JSON.parse(await slipway.text("image", "diff", "one", "two", "--format", "json"));
    const short = diff.files.map(({ kind, path, before, after, what }) =>
      [kind, path, before, after, ...what].join(" "),
    );
    expect(short).toEqual([
      "changed /d/bytes 1 2 bytes from 0 on",
      "changed /d/link 1 5 link target",
      "changed /d/mode 1 1 mode 644 → 600",
      "changed /d/owner 1 1 owner 0:0 → 7:8",
      "removed /gone 0 0",
      "removed /gone/sub 0 0",
      "removed /gone/sub/z 3 0",
      "removed /gone/x 1 0",
      "removed /gone/y 2 0",
      "added /new 0 0",
      "added /new/sub 0 0",
      "added /new/sub/z 0 3",
      "added /new/x 0 1",
      "added /new/y 0 2",
      "changed /turns 0 1 type",
      "removed /turns/sub 0 0",
      "removed /turns/sub/z 3 0",
      "removed /turns/x 1 0",
      "removed /turns/y 2 0",
    ]);
    const env = (b: string) => expect.arrayContaining(["A=1", `B=${b}`]);
    expect(diff.config).toEqual([
      { field: "config.Env", before: env("2"), after: env("3") },
      { field: "config.Labels.old", before: "1" },
    ]);
    expect(diff.layers.shared).toBe(1);

    const text = await slipway.text("image", "diff", "one", "two");
    expect(text).toContain("\nC /d/mode 1B (mode 644 → 600)\nC /d/owner");
    expect(text).toContain("\nD /gone/sub/z 3B\n");
    expect(text).toContain('\nconfig.Labels.old: "1" → none\n');
    expect(text).toEndWith("5 added (6B), 5 changed (10B), 9 removed (12B), 2 of the config");
    expect(await slipway.text("image", "diff", "one", "one")).toStartWith("0 added (0B), 0 changed");

    await slipway.run(["build", "-q", "-t", "none", "-f", "-", "."], { input: "FROM scratch\nENV A=1" });
    const all = await slipway.text("image", "diff", "none", "one");
    expect(all).toMatch(/^A \/bin 0B\n/);
    expect(all).toContain("\nA /same 1B\n");
    const missing = await slipway.run(["image", "diff", "one", "three"], { exit: 1 });
    expect(missing.stderr).toContain("No such image: three");
  },
);
