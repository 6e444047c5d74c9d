import { expect } from "bun:test";
import { e2e } from "../support/e2e.ts";

e2e("image rebase gives an image the layers and settings of a new base under its own", async (slipway) => {
  const build = (tag: string, input: string) => slipway.run(["build", "-q", "-t", tag, "-f", "-", "."], { input });
  const base = (n: number) =>
    `FROM busybox\nRUN echo ${n} > /base && echo ${n} > /gone\nENV BASE=${n} SET=base\nLABEL base=${n}\nUSER ${n}\nCMD ["cat", "/base"]`;
  await build("base:1", base(1));
  await build("base:2", base(2).replace("USER", "RUN true > /more\nUSER"));
  await build("app:1", "FROM base:1\nUSER 0\nRUN rm /gone && echo own > /own\nENV SET=app\nLABEL app=x");
  const rebase = (from: string) =>
    slipway.run(["image", "rebase", "app:1", "--from", from, "--onto", "base:2", "-t", "app:2"], { exit: "any" });
  const { stdout: id } = await rebase("base:1");
  expect((await rebase("base:1")).stdout).toBe(id);
  expect(
    await slipway.text(
      "run",
      "--rm",
      "app:2",
      "sh",
      "-c",
      "echo $BASE $SET $(cat /base /own) $(id -u); ls /more /gone 2>&1; true",
    ),
  ).toMatch(/^2 app 2 own 0\nls: \/gone: No such file or directory\n\/more$/);
  const [made] = JSON.parse(await slipway.text("image", "inspect", "app:2"));
  expect(made.Config.Labels).toEqual({ app: "x", base: "2" });
  expect(made.Config.Cmd).toEqual(["cat", "/base"]);
  const history = await slipway.text("history", "-q", "--no-trunc", "app:2");
  expect(history.split("\n").length).toBeGreaterThan(made.RootFS.Layers.length);
  expect((await rebase("base:2")).stderr).toContain("app:1 is not built on base:2");
});
