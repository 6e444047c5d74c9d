import { expect } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { createLinux } from "../../src/linux/createLinux.ts";
import { treeFingerprint } from "../support/treeFingerprint.ts";
import { e2e } from "../support/e2e.ts";

const prompt = /root@[0-9a-f]{12}:\/# $/;

e2e(
  "git installed in a container stays in that container, can be listed, and becomes an image by commit",
  async (slipway) => {
    await slipway.run(["pull", "debian"]);
    const layers = join(slipway.root, "layers");
    const linux = createLinux();
    const before = readdirSync(layers).map((name) => [name, treeFingerprint(linux, join(layers, name))]);
    expect(before).toHaveLength(1);

    await slipway.terminal(["run", "-it", "--name", "git", "debian", "bash"], async (session) => {
      await session.waitFor(prompt);
      session.type("apt-get update && apt-get install -y git\n");
      await session.waitFor(/Setting up git \(/, 240_000);
      await session.waitFor(prompt, 60_000);
      session.type("exit\n");
      expect(await session.exited).toBe(0);
    });

    expect(await slipway.text("ps", "-q")).toBe("");
    expect(await slipway.text("ps", "-a", "--format", "{{.Names}} {{.Image}} {{.Command}} {{.Status}}")).toMatch(
      /^git debian "bash" Exited \(0\) /,
    );

    const changes = (await slipway.text("diff", "git")).split("\n");
    expect(changes).toContain("A /usr/bin/git");
    expect(changes).toContain("C /usr/bin");
    expect(changes).toContain("C /var/lib/dpkg/status");
    expect(changes.filter((line) => !/^[ACD] \//.test(line))).toEqual([]);
    expect(changes).not.toContain("C /bin/bash");
    // Written in the writable layer alone: the image's layer is as it was, and another container sees nothing of it.
    expect(readdirSync(layers).map((name) => [name, treeFingerprint(linux, join(layers, name))])).toEqual(before);
    await slipway.run(["run", "--rm", "debian", "git", "--version"], { exit: 127 });

    await slipway.terminal(["start", "-ai", "git"], async (session) => {
      session.type("git --version\n");
      await session.waitFor(/git version \d+\.\d+/);
      session.type("exit 3\n");
      expect(await session.exited).toBe(3);
    });

    const id = await slipway.text("commit", "-m", "git inside", "git", "debian-git");
    expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(await slipway.text("run", "--rm", "debian-git", "git", "--version")).toMatch(/^git version /);
    const [image] = JSON.parse(await slipway.text("image", "inspect", "debian-git"));
    expect(image.RootFS.Layers).toHaveLength(2);
    expect(image.Config.Cmd).toEqual(["bash"]);
    expect((await slipway.text("history", "debian-git")).split("\n")).toHaveLength(3);

    // The image that a container was made of is not taken away from under it.
    const used = await slipway.run(["rmi", "debian"], { exit: 1 });
    expect(used.stderr).toMatch(/git|container/);
    expect(await slipway.text("rm", "git")).toBe("git");
    expect(await slipway.text("rmi", "debian-git")).toMatch(
      /^Untagged: debian-git:latest\n(Untagged: .*\n)?Deleted: sha256:/,
    );
    await slipway.run(["rmi", "debian"]);
    expect(await slipway.text("images", "-aq")).toBe("");
    expect(readdirSync(layers)).toEqual([]);
  },
  { debian: true, minutes: 6 },
);
