import { expect } from "bun:test";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { e2e } from "../support/e2e.ts";

const cacheMount = "--mount=type=cache,id=debug,uid=1000,target=/cache";
const secretMount = "--mount=type=secret,id=word,env=WORD --mount=type=secret,id=word";

e2e(
  "--on-error=shell opens a shell where a RUN failed: its files, mounts, environment, directory and user",
  async (slipway) => {
    const context = join(slipway.directory, "context");
    mkdirSync(context);
    writeFileSync(join(context, "bound"), "from the context");
    writeFileSync(
      join(context, "Dockerfile"),
      `FROM alpine
RUN ${cacheMount} echo kept > /cache/note && mkdir -p /w && chown 1000:1001 /w
WORKDIR /w
ENV COLOUR=blue
USER 1000:1001
RUN ${cacheMount} ${secretMount} --mount=type=bind,target=/b --mount=type=tmpfs,target=/t echo half > half; touch /t/x; exit 7
`,
    );
    const args = ["build", "--on-error=shell", "--secret", "id=word,env=SECRET_WORD", "-t", "never", context];
    slipway.env.SECRET_WORD = "abracadabra";
    await slipway.terminal(args, async (session) => {
      await session.waitFor(/exit code: 7/);
      await session.waitFor(/Leave with "exit"/);
      session.resize(99, 33);
      session.type(
        "until stty size | grep '33 99'; do sleep 0.1; done; echo $(cat half) $(cat /cache/note) $(cat /b/bound) $WORD $COLOUR $PWD $(id -u):$(id -g)\n",
      );
      await session.waitFor(/\n33 99/);
      await session.waitFor(/half kept from the context abracadabra blue \/w 1000:1001/);
      session.type("cat /run/secrets/word >/dev/null || echo for root alone; tr a-z A-Z < half\n");
      await session.waitFor(/for root alone[\s\S]*HALF/);
      await session.waitFor(/\/w \$ /);
      session.type("sleep 100\n");
      await Bun.sleep(200);
      session.type("\x03");
      await session.waitFor(/\^C\s+\/w \$ /);
      session.type("\x04");
      await session.waitFor(/6 \| >>> RUN/);
      expect(await session.exited).toBe(1);
    });
    const { stdout } = await slipway.run(["images", "-q", "never"]);
    expect(stdout).toBe("");
    expect(readdirSync(join(slipway.root, "tmp"))).toEqual([]);

    // Earlier builds' steps: the second RUN failed, what it stood on did not.
    await slipway.terminal(["builds", "shell", "", "WORKDIR"], async (session) => {
      await session.waitFor(/Leave with "exit"/);
      session.type("echo thrown > /away; ls -a /away; ls /w | wc -l\n");
      await session.waitFor(/\n\/away[\s\S]*0/);
      session.type("exit\n");
      expect(await session.exited).toBe(0);
    });
    await slipway.terminal(["builds", "shell", "", "WORKDIR"], async (session) => {
      await session.waitFor(/Leave with "exit"/);
      session.type("ls /away\nexit\n");
      await session.waitFor(/No such file/);
      expect(await session.exited).toBe(0);
    });
    await slipway.terminal(["builds", "shell", "", "exit 7"], async (session) => {
      expect(await session.exited).toBe(1);
      expect(session.text()).toContain("has no result to look into: it failed");
    });
    const none = await slipway.run(args, { exit: 1 });
    expect(none.stderr).toContain("--on-error=shell needs a terminal");
  },
);

e2e("a shell is lent where the image has none, and a COPY that fails opens what is below it", async (slipway) => {
  const context = join(slipway.directory, "context");
  mkdirSync(context);
  writeFileSync(join(context, "file"), "from the context");
  const dockerfile = join(context, "Dockerfile");
  writeFileSync(dockerfile, "FROM scratch\nCOPY file /here\nCOPY not-there /\n");
  await slipway.terminal(["build", "--on-error=shell", context], async (session) => {
    await session.waitFor(/"\/not-there" not found/);
    await session.waitFor(/Leave with "exit"/);
    session.type("cat /here; echo; ls -a / | tr '\\n' ' '\n");
    await session.waitFor(/from the context/);
    await session.waitFor(/here/);
    session.type("exit 3\n");
    expect(await session.exited).toBe(1);
  });
  // The shell that RUN asks for is what is missing.
  writeFileSync(dockerfile, "FROM scratch\nCOPY file /here\nRUN make\n");
  await slipway.terminal(["build", "--on-error=shell", context], async (session) => {
    await session.waitFor(/Leave with "exit"/);
    session.type("grep -c context /here\n");
    await session.waitFor(/\n1/);
    session.type("exit\n");
    expect(await session.exited).toBe(1);
  });
  // Nothing of the lent shell is in a layer.
  writeFileSync(dockerfile, "FROM scratch\nCOPY file /here\n");
  await slipway.run(["build", "-t", "clean", context]);
  const image = JSON.parse(await slipway.text("image", "inspect", "clean"));
  expect(image[0].RootFS.Layers).toHaveLength(1);
});
