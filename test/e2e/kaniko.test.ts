import { expect } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { e2e } from "../support/e2e.ts";
import { type Slipway, withSlipway } from "../support/withSlipway.ts";

const DOCKERFILE = `FROM alpine AS first
ARG WHO
RUN echo "$WHO" >/who
FROM first
COPY kept* /
RUN head -c 8 /dev/urandom | od -An -tx1 >/random
FROM first AS other
`;

e2e(
  "kaniko pushes what the Dockerfile says under every destination, and says the digest in the files",
  async (slipway) => {
    const { host, url } = slipway.hub;
    workspace(slipway);
    const at = (name: string) => join(slipway.directory, name);
    await slipway.run(
      [
        ...["kaniko", "--context=dir://context", "-f", "Dockerfile", "--build-arg", "WHO", "--label", "a=b", "--force"],
        ...["-d", `${host}/kaniko/one:1`, "--destination", `${host}/kaniko/two`, "--insecure", "--snapshot-mode=redo"],
        ...["--digest-file=digest", "--image-name-with-digest-file=names", "--image-name-tag-with-digest-file=tags"],
        ...["--oci-layout-path=layout", "--tar-path=image.tar", "--cleanup", "--single-snapshot", "--reproducible"],
      ],
      { env: { WHO: "me" } },
    );
    const digest = readFileSync(at("digest"), "utf8");
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(readFileSync(at("names"), "utf8")).toBe(`${host}/kaniko/one@${digest}\n${host}/kaniko/two@${digest}\n`);
    expect(readFileSync(at("tags"), "utf8")).toBe(
      `${host}/kaniko/one:1@${digest}\n${host}/kaniko/two:latest@${digest}\n`,
    );
    for (const [name, tag] of [
      ["one", "1"],
      ["two", "latest"],
    ]) {
      const manifest = await fetch(`${url}/v2/kaniko/${name}/manifests/${tag}`, {
        headers: { accept: "application/vnd.oci.image.manifest.v1+json" },
      });
      expect(manifest.headers.get("docker-content-digest")).toBe(digest);
    }
    expect(JSON.parse(readFileSync(at("layout/index.json"), "utf8")).manifests[0].digest).toBe(digest);
    // Nothing of it is left here but what is cached, and the base.
    expect(await slipway.text("images", "--format", "{{.Repository}}")).toBe("alpine");
    await slipway.run(["load", "-q", "-i", at("image.tar")]);
    const [image] = JSON.parse(await slipway.text("image", "inspect", `${host}/kaniko/one:1`));
    expect(image).toMatchObject({ Created: "1970-01-01T00:00:00Z", Config: { Labels: { a: "b" } } });
    const [base] = JSON.parse(await slipway.text("image", "inspect", "alpine"));
    expect(image.RootFS.Layers.length).toBe(base.RootFS.Layers.length + 1);
    const run = ["run", "--rm", "--network=host", `${host}/kaniko/two`];
    expect(await slipway.text(...run, "sh", "-c", "cat /who; ls /kept*")).toBe("me\n/kept");
  },
);

e2e(
  "kaniko caches in a repository from which a store that knows nothing builds; without --cache every step runs",
  async (slipway) => {
    const { host } = slipway.hub;
    workspace(slipway);
    const repository = `${host}/kaniko/cached-${crypto.randomUUID()}`;
    const args = ["kaniko", "--context", "context", "-d", repository, "--digest-file=digest"];
    const build = async (on: Slipway, ...more: string[]) => {
      const { stderr } = await on.run([...args, ...more], { cwd: slipway.directory });
      return { digest: readFileSync(join(slipway.directory, "digest"), "utf8"), stderr };
    };
    const first = await build(slipway, "--cache=true", "--compressed-caching=false");
    expect((await build(slipway, "--cache=true")).digest).toBe(first.digest);
    await withSlipway(async (fresh) => {
      const again = await build(fresh, "--cache", "--no-push-cache");
      expect(again.digest).toBe(first.digest);
      expect(again.stderr.match(/CACHED/g)?.length).toBe(4);
      expect((await build(fresh, "--cache", "--cache-ttl=0s")).digest).not.toBe(first.digest);
    });
    const anew = await build(slipway);
    expect(anew.stderr.match(/CACHED/g)?.length).toBe(1); // the base
    expect(anew.digest).not.toBe(first.digest);
    // The cache without a destination, and in a directory.
    const alone = [
      "kaniko",
      "--context=context",
      "--no-push",
      "--cache",
      "--cache-repo=oci:cache",
      "--digest-file=digest",
    ];
    await slipway.run(alone);
    expect(existsSync(join(slipway.directory, "cache/index.json"))).toBe(true);
    const second = await slipway.run(alone, { env: { KANIKO_NO_PUSH: "1" } });
    expect(second.stderr.match(/CACHED/g)?.length).toBe(4);
  },
);

e2e(
  "kaniko reads its context from archives, standard input and git, below a directory of it, by its .dockerignore",
  async (slipway) => {
    workspace(slipway);
    const inDirectory = (...words: string[]) => {
      const { success, stderr } = Bun.spawnSync(words, { cwd: slipway.directory });
      if (!success) throw new Error(stderr.toString());
    };
    inDirectory("tar", "-czf", "context.tar.gz", "context");
    const layer = (name: string) => {
      const place = mkdtempSync(join(slipway.directory, "out-"));
      inDirectory("tar", "-xf", name, "-C", place);
      const [{ Layers }] = JSON.parse(readFileSync(join(place, "manifest.json"), "utf8"));
      return Layers.flatMap((each: string) => {
        const { stdout } = Bun.spawnSync(["tar", "-tf", join(place, each)]);
        return stdout.toString().split("\n");
      });
    };
    const out = ["--no-push", "--tar-path=image.tar", "-d", "image", "--context-sub-path=context"];
    const archive = join(slipway.directory, "context.tar.gz");
    await slipway.run(["kaniko", `--context=tar://${archive}`, ...out]);
    expect(layer("image.tar")).toContain("kept");
    expect(layer("image.tar")).not.toContain("kept.not");
    await slipway.run(["kaniko", "-c", "tar://stdin", ...out], { input: readFileSync(archive) });
    expect(layer("image.tar")).toContain("kept");
    // A repository that only who is logged in may read; kaniko's image gives the login by the environment.
    inDirectory("git", "init", "-q", "-b", "main", "repository");
    inDirectory("cp", "-r", "context", "repository/");
    const git = ["git", "-C", "repository", "-c", "user.name=t", "-c", "user.email=t@t.invalid"];
    inDirectory(...git, "add", "-A");
    inDirectory(...git, "commit", "-qm", "one");
    inDirectory("git", "-C", "repository", "branch", "side");
    inDirectory("git", "clone", "-q", "--bare", "repository", "repository.git");
    const asked = new Set<string | null>();
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      async fetch(request) {
        asked.add(request.headers.get("authorization"));
        const login = `Basic ${Buffer.from("secret-token:").toString("base64")}`;
        if (request.headers.get("authorization") !== login) return new Response("", { status: 401 });
        return gitBackend(slipway.directory, request);
      },
    });
    try {
      const env = { GIT_PULL_METHOD: "http", GIT_TOKEN: "secret-token" };
      const from = `git://127.0.0.1:${server.port}/repository`;
      for (const args of [[`--context=${from}#refs/heads/side`], [`--context=${from}.git`, "--git=branch=side"]]) {
        const { stderr } = await slipway.run(["kaniko", ...args, ...out], { env });
        expect(layer("image.tar")).toContain("kept");
        expect(stderr).not.toContain("secret-token");
      }
      expect(asked.size).toBe(1);
    } finally {
      server.stop(true);
    }
    // A Dockerfile that is a file here goes before the context's.
    writeFileSync(join(slipway.directory, "mine"), "FROM alpine\nCOPY kept /mine\n");
    await slipway.run(["kaniko", `--context=tar://${archive}`, "--dockerfile=mine", ...out]);
    expect(layer("image.tar")).toContain("mine");
  },
);

e2e(
  "kaniko pulls through the mirrors that it is given, below their paths, and refuses what it cannot do with a reason",
  async (slipway) => {
    const { host } = slipway.hub;
    const plain = { SLIPWAY_CONFIG: "/dev/null" };
    writeFileSync(join(slipway.directory, "Dockerfile"), "FROM alpine\nRUN echo >/x\n");
    const build = (args: string[], exit: number | "any" = 0, env = {}) =>
      slipway.run(["kaniko", "--context=.", "--no-push", ...args], { exit, env: { ...plain, ...env } });
    const alone = "--skip-default-registry-fallback";
    await build([`--registry-mirror=${host}`, alone]);
    await build([alone], 0, { KANIKO_REGISTRY_MIRROR: host });
    // A mirror that keeps the repositories of another below a path.
    writeFileSync(join(slipway.directory, "Dockerfile"), "FROM registry.invalid/alpine\nRUN echo >/x\n");
    await build([`--registry-map=registry.invalid=${host}/library`, alone, "--insecure-pull"]);
    const { stderr } = await build([`--registry-map=registry.invalid=${host}/nowhere`, alone], 1);
    expect(stderr).toContain("alpine");
    for (const [args, said] of [
      [["--bucket=x"], "buckets are not read"],
      [["--context=s3://bucket/x.tar.gz"], "s3:// is not supported"],
      [["--snapshot-mode=none"], "full, redo or time"],
      [["--cache"], "specify cache repo with --cache-repo"],
      [["--digest-file=x", "--image-name-with-digest-file=y"], "needs a --destination"],
      [["--registry-map=x"], "REGISTRY=HOST"],
      [["--git=commit=1", "--context=git://127.0.0.1/x"], "branch, single-branch"],
      [["--dockerfil=x"], "Did you mean --dockerfile"],
    ] as const)
      expect((await build([...args], 1)).stderr).toContain(said);
    const nowhere = await slipway.run(["kaniko", "--context=."], { exit: 1 });
    expect(nowhere.stderr).toContain("you must provide --destination, or use --no-push");
  },
);

function workspace({ directory }: Slipway): void {
  mkdirSync(join(directory, "context"));
  writeFileSync(join(directory, "context/Dockerfile"), DOCKERFILE.replace("FROM first AS other\n", ""));
  writeFileSync(join(directory, "context/.dockerignore"), "kept.not\n");
  writeFileSync(join(directory, "context/kept"), "kept\n");
  writeFileSync(join(directory, "context/kept.not"), "ignored\n");
}

/** One request to git's own server, by CGI. */
async function gitBackend(directory: string, request: Request): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  const child = Bun.spawn(["git", "http-backend"], {
    stdin: Buffer.from(await request.arrayBuffer()),
    stdout: "pipe",
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: directory,
      GIT_HTTP_EXPORT_ALL: "1",
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: "safe.directory",
      GIT_CONFIG_VALUE_0: "*",
      PATH_INFO: pathname,
      QUERY_STRING: search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers.get("content-type") ?? "",
      HTTP_CONTENT_ENCODING: request.headers.get("content-encoding") ?? "",
      GIT_PROTOCOL: request.headers.get("git-protocol") ?? "",
    },
  });
  const answer = Buffer.from(await new Response(child.stdout).arrayBuffer());
  const end = answer.indexOf("\r\n\r\n");
  const headers = answer
    .subarray(0, end)
    .toString()
    .split("\r\n")
    .map((line) => line.split(": ") as [string, string]);
  const status = Number(headers.find(([name]) => name === "Status")?.[1]?.slice(0, 3) ?? 200);
  return new Response(answer.subarray(end + 4), { status, headers: headers.filter(([name]) => name !== "Status") });
}
