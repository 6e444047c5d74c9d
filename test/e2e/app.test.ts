import { expect } from "bun:test";
import { appendFileSync, cpSync } from "node:fs";
import { join } from "node:path";
import { e2e } from "../support/e2e.ts";
import { repository, type Slipway } from "../support/withSlipway.ts";

async function buildApp(slipway: Slipway, ...args: string[]): Promise<string> {
  const { stdout, stderr } = await slipway.run(["build", "-t", "app", ...args, "."]);
  return stdout + stderr;
}

function copyApp(slipway: Slipway): void {
  cpSync(join(repository, "examples/app"), slipway.directory, { recursive: true });
}

e2e(
  "the multi-stage example builds, and its image runs as the user and in the folder that its Dockerfile says",
  async (slipway) => {
    copyApp(slipway);
    const shown = await buildApp(slipway, "--build-arg", "VERSION=1.0");
    expect(shown).toContain("[build 5/6] RUN");
    expect(shown).toContain("made index.html");
    expect(shown).toContain("COPY --from=build");

    // secret.draft is left out by .dockerignore, ready.draft is let in again.
    expect(await slipway.text("run", "--rm", "app")).toBe(
      "nobody in /srv/app\nThe slipway: Crew\nThe slipway: Welcome\nThe slipway: Launch\nversion 1.0",
    );
    expect(await slipway.text("run", "--rm", "app", "check")).toBe("crew.html: OK\nindex.html: OK\nready.html: OK");
    expect((await slipway.run(["run", "--rm", "app", "launch"], { exit: 64 })).stderr).toBe("app: no command launch\n");

    const [image] = JSON.parse(await slipway.text("image", "inspect", "app"));
    expect(image.Config).toMatchObject({
      User: "nobody",
      WorkingDir: "/srv/app",
      Entrypoint: ["app"],
      Cmd: ["show"],
      ExposedPorts: { "8080/tcp": {} },
      Labels: { "org.opencontainers.image.title": "app" },
    });
    // Nothing of the first stage's environment or files is in the last.
    expect(JSON.stringify(image.Config.Env)).not.toContain("TITLE");
    expect(await slipway.text("run", "--rm", "--entrypoint", "ls", "app", "-A", "/srv/app")).toBe("pages");
  },
);

e2e("COPY --chown and --chmod give the owner and the mode that they name", async (slipway) => {
  copyApp(slipway);
  await buildApp(slipway);
  const stat = (path: string) => slipway.text("run", "--rm", "--entrypoint", "stat", "app", "-c", "%U:%G %a", path);
  expect(await stat("/srv/app/pages/index.html")).toBe("nobody:nobody 644");
  expect(await stat("/usr/local/bin/app")).toBe("root:root 755");
});

e2e("a changed page rebuilds what uses it and nothing before; an ignored file rebuilds nothing", async (slipway) => {
  copyApp(slipway);
  await buildApp(slipway);
  const id = await slipway.text("images", "-q", "--no-trunc", "app");

  appendFileSync(join(slipway.directory, "NOTES.md"), "One more note.\n");
  const unchanged = await buildApp(slipway);
  expect(unchanged).not.toContain("made index.html");
  expect(await slipway.text("images", "-q", "--no-trunc", "app")).toBe(id);

  appendFileSync(join(slipway.directory, "pages/crew.txt"), "And a cat.\n");
  const changed = await buildApp(slipway);
  expect(changed).toContain("made crew.html");
  expect(changed).toMatch(/\[build 2\/6\] WORKDIR \/src\n(?:.*\n)*?#\d+ CACHED/);
  expect(await slipway.text("run", "--rm", "--entrypoint", "cat", "app", "pages/crew.html")).toContain("And a cat.");
});

e2e("--target builds a stage before the last, with what it defines", async (slipway) => {
  copyApp(slipway);
  await slipway.run(["build", "-t", "pages", "--target", "build", "."]);
  expect(await slipway.text("run", "--rm", "pages", "sh", "-c", 'echo "$TITLE"; ls "$PAGES"')).toBe(
    "The slipway\nchecksums\ncrew.html\nindex.html\nready.html",
  );
});
