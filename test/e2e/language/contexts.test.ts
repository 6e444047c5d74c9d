import { expect } from "bun:test";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { buildImage, readImage } from "../../support/builtImage.ts";
import { contextFiles } from "../../support/contextFiles.ts";
import { e2e } from "../../support/e2e.ts";
import { withGitDaemon } from "../../support/gitDaemon.ts";
import { sh } from "../../support/shell.ts";
import type { Slipway } from "../../support/withSlipway.ts";

const COPY_ALL = "FROM scratch\nCOPY . /\n";

/** `slipway build` with exactly these arguments; the files of what came out. */
async function built(slipway: Slipway, args: string[], input?: Uint8Array | string): Promise<Record<string, string>> {
  await slipway.run(["build", "-t", "built", ...args], input === undefined ? {} : { input });
  return readImage(slipway, "docker.io/library/built:latest").tree();
}

async function withServer(
  files: Record<string, Uint8Array<ArrayBuffer> | string>,
  work: (url: string) => Promise<void>,
) {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      const body = files[new URL(request.url).pathname.slice(1)];
      return body === undefined ? new Response("no", { status: 404 }) : new Response(body);
    },
  });
  try {
    await work(`http://127.0.0.1:${server.port}`);
  } finally {
    await server.stop(true);
  }
}

e2e(
  "a context is a directory, a tar on standard input, a URL or a git repository; ignore files count in a directory alone",
  async (slipway) => {
    const { directory } = slipway;
    contextFiles(slipway, {
      "c/Dockerfile": COPY_ALL,
      "c/other/My.Dockerfile": "FROM scratch\nCOPY a /from-other",
      "c/a": "a",
      "c/.dockerignore": "a\nother\n",
      "empty/": "",
    });
    sh(
      directory,
      "tar -C c -cf plain.tar . ; tar -C c -czf c.tar.gz . ; cp -r c repo; cd repo; git init -q -b main .; git add -A; git -c user.name=t -c user.email=t@t commit -qm one; git tag v1; mkdir sub; mv a other sub; cp Dockerfile sub; git add -A; git -c user.name=t -c user.email=t@t commit -qm two; git clone -q --bare . ../repo.git",
    );
    const all = {
      ".dockerignore": "file 644 0:0 a\nother",
      Dockerfile: "file 644 0:0 FROM scratch\nCOPY . /",
      a: "file 644 0:0 a",
    };
    const other = {
      other: "directory 755 0:0",
      "other/My.Dockerfile": "file 644 0:0 FROM scratch\nCOPY a /from-other",
    };
    const whole = { ...all, ...other };
    const tar = readFileSync(join(directory, "plain.tar"));
    const gz = readFileSync(join(directory, "c.tar.gz"));

    expect(await built(slipway, ["c"])).toEqual({ ".dockerignore": all[".dockerignore"], Dockerfile: all.Dockerfile });
    expect(await built(slipway, ["-"], tar)).toEqual(whole);
    expect(await built(slipway, ["-"], gz)).toEqual(whole);
    expect(await built(slipway, ["-f", "other/My.Dockerfile", "-"], gz)).toEqual({ "from-other": "file 644 0:0 a" });
    expect(await built(slipway, ["-"], "FROM scratch\nCOPY <<E /e\nx\nE\n")).toEqual({ e: "file 644 0:0 x" });
    expect(await built(slipway, ["-f", "-", "c"], "FROM scratch\nCOPY Dockerfile /d\n")).toEqual({
      d: all.Dockerfile,
    });

    await withServer({ "c.tar.gz": gz, Dockerfile: "FROM scratch\nCOPY context /c" }, async (url) => {
      expect(await built(slipway, [`${url}/c.tar.gz`])).toEqual(whole);
      expect(await built(slipway, [`${url}/Dockerfile`])).toEqual({
        c: "file 600 0:0 FROM scratch\nCOPY context /c",
      });
      expect(
        await built(
          slipway,
          ["-f", `${url}/Dockerfile`, "--build-context", `x=${url}/Dockerfile`, "repo/sub"].with(1, "-"),
          "FROM scratch\nCOPY --from=x . /\n",
        ),
      ).toEqual({
        context: "file 600 0:0 FROM scratch\nCOPY context /c",
      });
      const failed = await slipway.run(["build", `${url}/none.tar`], { exit: 1 });
      expect(failed.stderr).toContain("404");
    });
    await withGitDaemon(directory, async (url) => {
      expect(Object.keys(await built(slipway, [`${url}/repo.git#main:sub`]))).toEqual([
        "Dockerfile",
        "a",
        "other",
        "other/My.Dockerfile",
      ]);
      expect(await built(slipway, [`${url}/repo.git#v1`])).toEqual(whole);
      expect(
        Object.keys(await built(slipway, ["--build-arg", "BUILDKIT_CONTEXT_KEEP_GIT_DIR=1", `${url}/repo.git?ref=v1`])),
      ).toContain(".git");
      expect(await built(slipway, ["-f", "other/My.Dockerfile", `${url}/repo.git#v1`])).toEqual({
        "from-other": "file 644 0:0 a",
      });

      // The image is as old as its source.
      const created = async (...args: string[]): Promise<number> => {
        await slipway.run(["build", "-t", "dated", "-f", "-", ...args], {
          input: "FROM scratch AS dated\nADD --keep-git-dir=false $URL /\nFROM scratch\nCOPY . /\n".replace(
            "$URL",
            `${url}/repo.git#v1`,
          ),
        });
        const [image] = JSON.parse(await slipway.text("image", "inspect", "dated"));
        return Date.parse(image.Created) / 1000;
      };
      const committed = Number(sh(join(directory, "repo"), "git log -1 --format=%ct v1"));
      const source = `${url}/repo.git#v1`;
      expect(await created("--source-date-epoch", "context", source)).toBe(committed);
      expect(await created("--build-arg", "SOURCE_DATE_EPOCH=dated", source)).toBe(committed);
      expect(await created("--build-context", `src=${source}`, "--source-date-epoch=src", "c")).toBe(committed);
      expect(await created("--source-date-epoch", "86400", "--build-arg", "SOURCE_DATE_EPOCH=1", "c")).toBe(86400);
    });

    const refused = async (args: string[], input = ""): Promise<string> =>
      (await slipway.run(["build", ...args], { input, exit: 1 })).stderr;
    expect(await refused(["-f", "-", "-"])).toContain("can't use stdin for both build context and dockerfile");
    expect(await refused(["nowhere"])).toContain('the build context "nowhere" is not a directory');
    expect(await refused(["empty"])).toContain("cannot read the Dockerfile");
    expect(await refused(["-"], "")).toContain("is empty");
  },
);

e2e(
  "the Dockerfile's own ignore file wins; dockerfile counts where there is no Dockerfile; a Dockerfile may lie outside",
  async (slipway) => {
    contextFiles(slipway, {
      "c/dockerfile": COPY_ALL,
      "c/a": "a",
      "c/b": "b",
      "c/.dockerignore": "*\n!a\n",
      "out.Dockerfile": COPY_ALL,
      "out.Dockerfile.dockerignore": "*\n!b\n",
    });
    expect(Object.keys(await built(slipway, ["c"]))).toEqual(["a"]);
    expect(Object.keys(await built(slipway, ["-f", "out.Dockerfile", "c"]))).toEqual(["b"]);
  },
);

e2e(
  "a named context takes the place of a stage, an image or a --from: a directory, an image, an OCI layout, scratch",
  async (slipway) => {
    const { directory } = slipway;
    contextFiles(slipway, {
      "c/Dockerfile": "",
      "docs/keep": "keep",
      "docs/drop": "drop",
      "docs/.dockerignore": "drop\n",
      "lib/x": ["x", 0o755],
    });
    await slipway.run(["build", "-t", "mine", "-"], { input: "FROM alpine\nENV FROM_MINE=1\nRUN echo mine > /mine\n" });
    sh(
      directory,
      `skopeo copy -q --src-tls-verify=false docker://${slipway.hub.host}/library/alpine:latest oci:layout:v1`,
    );
    const contexts = (...pairs: string[]): string[] => pairs.flatMap((pair) => ["--build-context", pair]);

    const first = await buildImage(
      slipway,
      "FROM scratch AS lib\nCOPY --from=nothing /y /y\nFROM scratch\nCOPY --from=docs . /docs/\nCOPY --from=lib x /x\n",
      {
        args: contexts("docs=docs", "lib=lib"),
        context: "c",
      },
    );
    expect(first.tree()).toEqual({
      docs: "directory 755 0:0",
      "docs/.dockerignore": "file 644 0:0 drop",
      "docs/keep": "file 644 0:0 keep",
      x: "file 755 0:0 x",
    });
    expect(first.shown).toContain("[context docs] load from client");

    const second = await buildImage(slipway, "FROM alpine\nRUN cat /mine > /seen\n", {
      args: contexts("alpine=docker-image://mine"),
      context: "c",
    });
    expect(second.file("seen").text).toBe("mine\n");
    expect(second.config.config?.Env).toContain("FROM_MINE=1");

    const third = await buildImage(
      slipway,
      "FROM base\nCOPY <<E /e\nx\nE\nFROM none\nCOPY --from=0 /e /bin/busybox /\n",
      {
        args: contexts("base=oci-layout://layout:v1", "none=docker-image://scratch"),
        context: "c",
      },
    );
    expect(Object.keys(third.tree())).toEqual(["busybox", "e"]);
    const digest = JSON.parse(readFileSync(join(directory, "layout/index.json"), "utf8")).manifests[0].digest;
    await buildImage(slipway, "FROM base\nRUN true\n", {
      args: contexts(`base=oci-layout://layout@${digest}`),
      context: "c",
    });

    for (const [pair, why] of [
      ["base=oci-layout://layout:v2", "holds no image v2"],
      ["base=oci-layout://docs", "is no OCI image layout"],
      ["base=target:x", "is for bake files"],
      ["base=nowhere", 'build context "nowhere" is not a directory'],
      ["base", "it must say NAME=VALUE"],
    ] as const) {
      const { stderr } = await slipway.run(["build", "--build-context", pair, "-f", "-", "c"], {
        input: "FROM base\nCOPY --from=base . /\n",
        exit: 1,
      });
      expect(stderr).toContain(why);
    }
  },
);

e2e("--print-context says of every file which line kept or dropped it", async (slipway) => {
  contextFiles(slipway, {
    "c/Dockerfile": COPY_ALL,
    "c/.dockerignore": "# comment\n\nnode_modules\n*.md\n!docs/*.md\n",
    "c/docs/a.md": "",
    "c/b.md": "",
    "c/node_modules/x/y": "",
    "c/src/z": "",
  });
  const { stdout } = await slipway.run(["build", "--print-context", "c"]);
  expect(stdout.split("\n").map((line) => line.trimEnd())).toEqual([
    "       PATH            LINE              PATTERN",
    "keep   .dockerignore",
    "keep   Dockerfile",
    "drop   b.md            .dockerignore:4   *.md",
    "keep   docs/",
    "keep   docs/a.md",
    "drop   node_modules/   .dockerignore:3   node_modules",
    "keep   src/",
    "keep   src/z",
    "4 files in the build context, 2 paths left out",
    "",
  ]);
});

e2e(
  "--call shows what a build takes, which targets there are, and what its checks find, as text and JSON",
  async (slipway) => {
    mkdirSync(join(slipway.directory, "c"));
    const dockerfile = [
      "# VERSION is of the base",
      "ARG VERSION=latest",
      "ARG UNUSED=1",
      "# base is where all begins",
      "FROM alpine:${VERSION} AS base",
      "# NAME to greet",
      "ARG NAME=you",
      "RUN --mount=type=secret,id=token,required=true --mount=type=ssh true",
      "FROM base",
      'CMD echo "hello"',
    ].join("\n");
    contextFiles(slipway, { "c/Dockerfile": dockerfile });
    const call = async (what: string, ...args: string[]) =>
      (await slipway.run(["build", "--call", what, ...args, "c"], { exit: "any" })).stdout;

    expect(await call("outline", "--target", "base", "--build-arg", "NAME=me")).toBe(
      [
        "TARGET:      base",
        "DESCRIPTION: is where all begins",
        "",
        "BUILD ARG   VALUE    DESCRIPTION",
        "VERSION     latest   is of the base",
        "NAME        me       to greet",
        "",
        "SECRET   REQUIRED",
        "token    true",
        "",
        "SSH       REQUIRED",
        "default   ",
        "",
        "",
      ].join("\n"),
    );
    expect(await call("targets")).toBe("TARGET      DESCRIPTION\nbase        is where all begins\n(default)   \n");
    const outline = JSON.parse(await call("outline,format=json"));
    expect(outline.args[0]).toEqual({
      name: "VERSION",
      value: "latest",
      description: "is of the base",
      location: { ranges: [{ start: { line: 2 }, end: { line: 2 } }] },
    });
    expect(Buffer.from(outline.sources[0], "base64").toString()).toBe(dockerfile);
    expect(JSON.parse(await call("targets,format=json")).targets[1]).toEqual({
      default: true,
      base: "base",
      location: { ranges: [{ start: { line: 9 }, end: { line: 9 } }] },
    });
    const check = await slipway.run(["build", "--check", "c"], { exit: 1 });
    expect(check.stdout).toContain(
      "WARNING: JSONArgsRecommended - https://docs.docker.com/go/dockerfile/rule/json-args-recommended/",
    );
    expect(check.stdout).toContain(">>> CMD echo");
    expect(
      JSON.parse(await call("check,format=json")).warnings.map((each: { ruleName: string }) => each.ruleName),
    ).toContain("JSONArgsRecommended");
    expect((await slipway.run(["build", "--call", "x", "c"], { exit: 1 })).stderr).toContain(
      "It takes build, check, outline or targets",
    );
  },
);
