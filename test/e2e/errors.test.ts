import { expect } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { busyboxImage } from "../../scripts/lib/busyboxImage.mjs";
import { startRegistry } from "../../scripts/lib/loopbackRegistry.mjs";
import { pushImage } from "../../scripts/lib/pushImage.mjs";
import { writeTar } from "../../scripts/lib/writeTar.mjs";
import { e2e } from "../support/e2e.ts";
import { writeFiles } from "../support/files.ts";
import { withTempDirectory } from "../support/tempDirectory.ts";
import type { Slipway } from "../support/withSlipway.ts";

/** What a build that must fail says on standard error. No stack trace is ever part of it. */
async function failedBuild(slipway: Slipway, dockerfile: string, ...args: string[]): Promise<string> {
  writeFiles(slipway.directory, { Dockerfile: dockerfile });
  const { exitCode, stderr } = await slipway.run(["build", ...args, "."], { exit: "any" });
  expect(exitCode).toBe(1);
  expect(stderr).not.toMatch(/^\s+at .+:\d+:\d+\)?$/m);
  return stderr;
}

e2e("a Dockerfile error shows file, line, the lines around it, and what to do", async (slipway) => {
  const shown = await failedBuild(slipway, "FROM alpine\nWORKDIR /x\nRUNN make\nCMD true\n");
  expect(shown).toMatch(/Dockerfile:3/);
  expect(shown).toContain("RUNN make");
  expect(shown).toContain("WORKDIR /x");
  expect(shown).toMatch(/unknown instruction/i);
  expect(shown).toMatch(/\bRUN\b/);
});

e2e("a failing RUN shows its command, its exit code, its line and the end of its log", async (slipway) => {
  const shown = await failedBuild(slipway, "FROM alpine\nRUN seq 1 500; echo the last words; exit 7\n");
  expect(shown).toMatch(/Dockerfile:2/);
  expect(shown).toContain("seq 1 500; echo the last words; exit 7");
  expect(shown).toMatch(/exit code:? 7/);
  expect(shown).toContain("the last words");
  expect(await slipway.text("ps", "-aq")).toBe("");
});

e2e("a COPY of what is not there names the path and the line", async (slipway) => {
  const shown = await failedBuild(slipway, "FROM alpine\nCOPY no-such-file /x\n");
  expect(shown).toContain("no-such-file");
  expect(shown).toMatch(/Dockerfile:2/);
});

e2e("a missing Dockerfile and a missing context are said so", async (slipway) => {
  expect((await slipway.run(["build", "."], { exit: 1 })).stderr).toContain("Dockerfile");
  expect((await slipway.run(["build", "no-such-folder"], { exit: 1 })).stderr).toContain("no-such-folder");
});

e2e("a registry that cannot be reached, and a tag that it does not have, are named", async (slipway) => {
  const down = await slipway.run(["pull", "127.0.0.1:9/some/image:1"], { exit: 1 });
  expect(down.stderr).toContain("127.0.0.1:9");
  const tag = await slipway.run(["pull", "alpine:no-such-tag"], { exit: 1 });
  expect(tag.stderr).toContain("alpine:no-such-tag");
  expect(tag.stderr).toMatch(/not found/i);
  const run = await slipway.run(["run", "--rm", "alpine:no-such-tag"], { exit: 125 });
  expect(run.stderr).toContain("alpine:no-such-tag");
  const invalid = await slipway.run(["pull", "Alpine:UPPER"], { exit: 1 });
  expect(invalid.stderr).toMatch(/lower-?case/i);
});

e2e("a second container of the same name is refused, and the first is left alone", async (slipway) => {
  await slipway.run(["create", "--name", "one", "alpine", "true"]);
  const { stderr } = await slipway.run(["run", "--name", "one", "alpine", "true"], { exit: 125 });
  expect(stderr).toMatch(/"?\/?one"? is (already )?in use/);
  expect((await slipway.text("ps", "-aq")).split("\n")).toHaveLength(1);
  expect((await slipway.run(["rm", "two"], { exit: 1 })).stderr).toContain("two");
});

e2e("a runtime that is not there is named, with what to do", async (slipway) => {
  await slipway.run(["pull", "alpine"]);
  const { registries } = JSON.parse(readFileSync(slipway.env.SLIPWAY_CONFIG!, "utf8"));
  writeFileSync(slipway.env.SLIPWAY_CONFIG!, JSON.stringify({ registries, runtime: "/no/such/runtime" }));
  const { stderr } = await slipway.run(["run", "--rm", "alpine", "true"], { exit: 125 });
  expect(stderr).toContain("/no/such/runtime");
});

e2e("bytes that are not what the digest says are refused, and nothing of them is kept", (slipway) =>
  withTempDirectory(async (folder) => {
    const registry = await startRegistry(folder);
    try {
      const base = busyboxImage();
      const second = writeTar([{ path: "file", content: "as it was made" }]);
      await pushImage(registry.url, "broken", "latest", { ...base, layers: [...base.layers, second] });
      const manifest = (await (
        await fetch(`${registry.url}/v2/broken/manifests/latest`, {
          headers: { accept: "application/vnd.oci.image.manifest.v1+json" },
        })
      ).json()) as { layers: { digest: string }[] };
      const digest = manifest.layers[1]!.digest;
      const hex = digest.slice("sha256:".length);
      const path = join(folder, "data/docker/registry/v2/blobs/sha256", hex.slice(0, 2), hex, "data");
      const bytes = readFileSync(path);
      // Same length, other content: only the digest can tell.
      bytes[bytes.length - 1]! ^= 0xff;
      writeFileSync(path, bytes);
      expect(createHash("sha256").update(bytes).digest("hex")).not.toBe(hex);

      const { stderr } = await slipway.run(["pull", `${registry.host}/broken`], { exit: 1 });
      expect(stderr).toContain(digest.slice(0, "sha256:".length + 12));
      expect(await slipway.text("images", "-aq")).toBe("");
      expect(existsSync(join(slipway.root, "blobs/sha256", hex))).toBe(false);
    } finally {
      await registry.stop();
    }
  }),
);

e2e("a full disk is said in one sentence, and after it the store works on", async (slipway) => {
  const small = join(slipway.directory, "small");
  mkdirSync(small);
  const mount = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=3m", "none", small]);
  expect(mount.exitCode).toBe(0);
  try {
    const env = { SLIPWAY_ROOT: join(small, "store") };
    const { stderr } = await slipway.run(["pull", "alpine"], { env, exit: 1 });
    expect(stderr).toMatch(/no space left|disk is full|ENOSPC/i);
    expect((await slipway.run(["images", "-aq"], { env })).stdout).toBe("");
    expect(Bun.spawnSync(["mount", "-o", "remount,size=64m", small]).exitCode).toBe(0);
    await slipway.run(["pull", "alpine"], { env });
    expect(readdirSync(join(small, "store", "layers"))).toHaveLength(1);
  } finally {
    Bun.spawnSync(["umount", "-l", small]);
  }
});
