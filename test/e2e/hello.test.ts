import { expect } from "bun:test";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { e2e } from "../support/e2e.ts";
import { repository, type Slipway } from "../support/withSlipway.ts";

const hex = /\b[0-9a-f]{64}\b/;

async function buildHello(slipway: Slipway, ...args: string[]): Promise<{ shown: string; id: string }> {
  cpSync(join(repository, "examples/hello"), slipway.directory, { recursive: true });
  const { stdout, stderr } = await slipway.run(["build", ...args, "."]);
  const shown = stdout + stderr;
  return { shown, id: /sha256:([0-9a-f]{64})\b(?![\s\S]*sha256:[0-9a-f]{64})/.exec(shown)?.[1] ?? "" };
}

e2e(
  "build pulls the base, shows its steps and prints the image's ID, and run -it of the short ID says hello",
  async (slipway) => {
    const { shown, id } = await buildHello(slipway);
    expect(shown).toContain("FROM docker.io/library/alpine");
    expect(id).toMatch(hex);
    expect(await slipway.text("images", "-q", "--no-trunc", "-a")).toContain(`sha256:${id}`);

    const short = id.slice(0, 12);
    await slipway.terminal(["run", "-it", short], async (session) => {
      await session.waitFor(/hello\n/);
      expect(await session.exited).toBe(0);
    });
  },
);

e2e("a name given by -t runs, and images, history and inspect show what the image is", async (slipway) => {
  await buildHello(slipway, "-t", "hello");
  expect((await slipway.run(["run", "hello"])).stdout).toBe("hello\n");

  const images = await slipway.text("images");
  expect(images.split("\n")[0]).toMatch(/^REPOSITORY\s+TAG\s+IMAGE ID\s+CREATED\s+SIZE$/);
  expect(images).toMatch(/^hello\s+latest\s+[0-9a-f]{12}\s.*\b[\d.]+[kM]B$/m);
  expect(images).toMatch(/^alpine\s+latest\s/m);

  const id = await slipway.text("images", "--no-trunc", "-q", "hello");
  const history = (await slipway.text("history", "hello")).split("\n");
  expect(history[0]).toMatch(/^IMAGE\s+CREATED\s+CREATED BY\s+SIZE\s+COMMENT$/);
  expect(history[1]).toStartWith(id.slice("sha256:".length, "sha256:".length + 12));
  expect(history[1]).toMatch(/CMD \["echo" "hello"\]\s+0B\s+buildkit\.dockerfile\.v0/);
  expect(history[2]).toMatch(/busybox-static\s+[\d.]+MB/);

  const [inspected] = JSON.parse(await slipway.text("image", "inspect", "hello"));
  expect(inspected.Id).toBe(id);
  expect(inspected.RepoTags).toEqual(["hello:latest"]);
  expect(inspected.Config.Cmd).toEqual(["echo", "hello"]);
  expect(inspected.RootFS.Layers).toHaveLength(1);
  expect(inspected.Size).toBeGreaterThan(1_000_000);
  expect(await slipway.text("image", "inspect", "--format", "{{.Id}} {{index .Config.Cmd 1}}", "hello")).toBe(
    `${id} hello`,
  );
});

e2e("a second build does nothing, needs no registry, and gives the same image", async (slipway) => {
  const first = await buildHello(slipway, "-t", "hello");
  const env = { SLIPWAY_CONFIG: "/dev/null" };
  const { stdout, stderr } = await slipway.run(["build", "-t", "hello", "."], { env });
  expect(stdout + stderr).toContain(first.id);
  expect((await slipway.run(["build", "-q", "."], { env })).stdout).toBe(`sha256:${first.id}\n`);
});

e2e("tag gives a second name, rmi takes names away one by one, and the image goes with the last", async (slipway) => {
  await buildHello(slipway, "-t", "hello");
  await slipway.run(["tag", "hello", "hello:again"]);
  expect(await slipway.text("rmi", "hello")).toBe("Untagged: hello:latest");
  expect((await slipway.run(["run", "--rm", "hello:again"])).stdout).toBe("hello\n");
  expect(await slipway.text("rmi", "hello:again")).toMatch(/^Untagged: hello:again\nDeleted: sha256:[0-9a-f]{64}/);
  expect((await slipway.run(["run", "--rm", "alpine", "echo", "base is whole"])).stdout).toBe("base is whole\n");
});
