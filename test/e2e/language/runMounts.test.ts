import { expect } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { e2e } from "../../support/e2e.ts";
import { writeFiles } from "../../support/files.ts";
import { build, inspect, printed, refused } from "./runSupport.ts";

e2e(
  "a bind mount shows the context, a stage or an image; what is written to it is gone, and its place with it",
  async (slipway) => {
    writeFiles(slipway.directory, {
      "src/a.txt": "a\n",
      "src/skipped.log": "log\n",
      ".dockerignore": "*.log\n**/*.log\n",
      one: "one\n",
    });
    const ran = await build(
      slipway,
      `FROM alpine AS made
RUN mkdir -p /out/deep && echo made > /out/deep/f && chown 7:8 /out/deep/f && ln -s deep /out/link && ln -s /etc /out/away
FROM alpine
WORKDIR /work
ARG WHERE=src
RUN --mount=source=$WHERE,target=rel --mount=type=bind,src=one,dst=/new/place/one,rw=false \\
    echo "$(ls rel) $(cat rel/a.txt /new/place/one | xargs)"; touch rel/x 2>&1 | sed 's/.*: //'; stat -c '%U:%G' rel/a.txt
RUN --mount=from=made,source=/out/link,destination=/d,rw echo new > /d/new && echo "$(ls /d) $(stat -c '%u:%g' /d/f)" && rm /d/f
RUN --mount=from=made,source=out,target=/d --mount=from=busybox,target=/bb \\
    echo "$(cat /d/deep/f) $(ls /d/deep) $(cat /bb/etc/os-release | head -1)"
RUN --mount=target=/ctx/sub/in --mount=type=tmpfs,target=/ctx,size=64k \\
    df -k /ctx | tail -1 | awk '{print "size " $2}'; ls /ctx/sub/in; touch /ctx/t; dd if=/dev/zero of=/ctx/big bs=1k count=100 2>&1 | grep -o 'No space.*'
RUN --mount=target=/etc/ssl/x echo kept > /etc/kept
`,
    );
    expect(printed(ran)).toEqual([
      "a.txt a one",
      "Read-only file system",
      "root:root",
      "f",
      "new 7:8",
      "made f ID=busybox",
      "size 64",
      "Dockerfile",
      "one",
      "src",
      "No space left on device",
    ]);
    // Neither what was mounted nor its place is in a layer: a step that only read has an empty one.
    expect((await inspect(slipway)).layers.slice(1)).toEqual([
      ["work/ 755 0:0"],
      ...[[], [], [], []],
      ["etc/ 755 0:0", 'etc/kept 644 0:0 "kept\\n"'],
    ]);
    writeFiles(slipway.directory, { "src/skipped.log": "other\n", unread: "1\n" });
    const again = "FROM alpine\nRUN --mount=source=src,target=/s cat /s/a.txt\n";
    await build(slipway, again);
    writeFiles(slipway.directory, { unread: "2\n" });
    expect((await build(slipway, again)).stderr).toContain("CACHED");
    writeFiles(slipway.directory, { "src/a.txt": "b\n" });
    expect(printed(await build(slipway, again))).toEqual(["b"]);
  },
);

e2e(
  "a step on a stage's files runs again when those change, and not when other files of the stage do",
  async (slipway) => {
    const dockerfile = "FROM alpine AS made\nARG V\nARG W=1\nRUN echo $V > /other && echo $W > /used\nFROM alpine\n";
    const step = "RUN --mount=from=made,source=/used,target=/u echo ran $(cat /u)\n";
    expect(printed(await build(slipway, dockerfile + step, ["--build-arg", "V=1"]))).toEqual(["ran 1"]);
    expect(printed(await build(slipway, dockerfile + step, ["--build-arg", "V=2"]))).toEqual([]);
    expect(printed(await build(slipway, dockerfile + step, ["--build-arg", "V=2", "--build-arg", "W=2"]))).toEqual([
      "ran 2",
    ]);
  },
);

e2e("a mount that cannot be is refused with its line", async (slipway) => {
  const cases: [string, RegExp][] = [
    ["--mount=source=nowhere,target=/x", /nowhere.*not found/],
    ["--mount=from=alpine,source=/no/where,target=/x", /no\/where.*not found/],
    ["--mount=from=$base,target=/x", /'from' doesn't support variable expansion, define alias stage instead/],
    ["--mount=type=cache", /invalid mount target/],
    ["--mount=type=tmpfs,target=/", /invalid mount target/],
    ["--mount=type=bind,target=/x,sharing=locked", /sharing/],
    ["--mount=type=cahce,target=/x", /Did you mean cache/],
    ["--mount=type=secret,id=none,required", /none/],
    ["--mount=type=ssh,required=true", /ssh/],
    ["--device=vendor.com/gpu=all", /vendor\.com\/gpu=all.*not supported/],
    ["--network=moon", /moon/],
  ];
  for (const [flags, expected] of cases) {
    const shown = await refused(slipway, `FROM alpine\nRUN ${flags} true\n`);
    expect(shown).toMatch(expected);
    expect(shown).toMatch(/Dockerfile:2/);
  }
});

e2e("a cache mount keeps its files between builds and out of the image, and its user can write it", async (slipway) => {
  const dockerfile = (n: number) => `FROM alpine AS seed
RUN mkdir -m 750 /seed && echo seed > /seed/f && chown 3:4 /seed
FROM alpine
RUN echo 'app:x:1000:1001::/home/app:/bin/sh' >> /etc/passwd && mkdir /covered && chown 5:6 /covered
WORKDIR /w
ENV T=/named
RUN --mount=type=cache,target=/root/.cache --mount=type=cache,target=$T,mode=0770,uid=11,gid=12 --mount=type=cache,target=/half,uid=9 \\
    --mount=type=cache,from=seed,source=/seed,target=/seeded \\
    echo ${n} >> /root/.cache/log; xargs < /root/.cache/log; stat -c '%n %a %u:%g' /root/.cache /named /half /seeded /seeded/f
RUN --mount=type=cache,target=other,id=/root/.cache echo same $(xargs < other/log); pwd
RUN --mount=type=cache,target=other echo ${n} $(ls other | wc -l)
RUN --mount=type=cache,target=/root/.cache,ro touch /root/.cache/x 2>&1 | sed 's/.*: //'
USER app
RUN --mount=type=cache,target=/home/app/.cache touch /home/app/.cache/mine && stat -c '%a %u:%g' /home/app/.cache
RUN --mount=type=cache,target=/covered stat -c '%a %u:%g ${n}' /covered
`;
  const said = ["/root/.cache 755 0:0", "/named 770 11:12", "/half 755 9:0", "/seeded 750 3:4", "/seeded/f 644 0:0"];
  const rest = (n: number) => [`${n} 0`, "Read-only file system", "755 1000:1001", `755 5:6 ${n}`];
  expect(printed(await build(slipway, dockerfile(1)))).toEqual(["1", ...said, "same 1", "/w", ...rest(1)]);
  expect(printed(await build(slipway, dockerfile(2), ["--no-cache"]))).toEqual([
    "1 2",
    ...said,
    "same 1 2",
    "/w",
    ...rest(2),
  ]);
  const names = (await inspect(slipway)).layers
    .slice(1)
    .flat()
    .map((line) => line.split(" ")[0]);
  expect(new Set(names)).toEqual(new Set(["covered/", "etc/", "etc/passwd", "w/"]));
  const other = await build(slipway, dockerfile(3), ["--build-arg", "BUILDKIT_CACHE_MOUNT_NS=ci"]);
  expect(printed(other)[0]).toBe("3");
});

e2e(
  "builds at the same time share a cache mount, wait for a locked one, and get a private one each",
  async (slipway) => {
    writeFiles(slipway.directory, { "a/x": "", "b/x": "" });
    // Each leaves its name, and says so when it sees the other's: it waits long where that one must come, and takes its own away where not.
    const step = (sharing: string) => {
      const [tries, last] = sharing === "shared" ? [200, "true"] : [5, "rm /c/$N"];
      const look = `for i in $(seq ${tries}); do test $(ls /c | wc -l) = 2 && echo busy && break; sleep 0.1; done`;
      return `RUN --mount=type=cache,target=/c,sharing=${sharing} touch /c/$N; ${look}; ${last}\n`;
    };
    await slipway.run(["pull", "alpine"]);
    const both = async (sharing: string): Promise<string> => {
      const texts = ["a", "b"].map((name) => `FROM alpine\nENV N=${name}\n${step(sharing)}`);
      const ran = await Promise.all(
        texts.map((input) => slipway.run(["build", "--no-cache", "--progress", "plain", "-f", "-", "."], { input })),
      );
      return ran.flatMap(printed).join(" ");
    };
    expect(await both("locked")).toBe("");
    expect(await both("private")).toBe("");
    expect(await both("shared")).toBe("busy busy");
    // The same cache twice in one step, and two steps that take two locks in different order.
    const pair = (first: string, second: string) =>
      `--mount=type=cache,sharing=locked,id=${first},target=/1 --mount=type=cache,sharing=locked,id=${second},target=/2`;
    const ran = await build(
      slipway,
      `FROM alpine AS a
RUN ${pair("p", "q")} sleep 0.2
FROM alpine AS b
RUN ${pair("q", "p")} touch /1/f && sleep 0.2
FROM alpine
RUN --mount=from=a,target=/a --mount=from=b,target=/b ${pair("q", "q")} ls /1 /2
`,
    );
    expect(printed(ran)).toEqual(["/1:", "f", "", "/2:", "f"]);
  },
);

e2e("a secret is a file or a variable of its step, and nowhere afterwards", async (slipway) => {
  const word = "xyzzy-7f3a";
  writeFiles(slipway.directory, { token: `${word}\n`, ".dockerignore": "token\n" });
  const dockerfile = (n: string) => `FROM alpine
ENV T=/srv/app.conf
RUN --mount=type=secret,id=dir/token --mount=type=secret,target=$T,mode=0440,uid=5,gid=6,id=token --mount=type=secret,id=missing \\
    --mount=type=secret,id=word,env=WORD --mount=type=secret,id=both,env=BOTH,target=/both \\
    stat -c '%n %a %u:%g %s' /run/secrets/token $T /both; ls /run/secrets; test "$(cat /run/secrets/token)" = "$(cat $T)" && echo ${n}; \\
    test "$WORD" = "$BOTH" && test "$(cat /both)" = "$WORD" && echo \${#WORD}; touch /both 2>&1 | sed 's/.*: //'; awk '$2=="/both"{print $3}' /proc/mounts
`;
  const secrets = [
    "id=dir/token,src=token",
    "type=file,id=token,source=token",
    "id=word,env=FROM_HERE",
    "type=env,id=both,src=FROM_HERE",
  ];
  const args = secrets.flatMap((each) => ["--secret", each]);
  const env = { FROM_HERE: word };
  const expected = [
    "/run/secrets/token 400 0:0 11",
    "/srv/app.conf 440 5:6 11",
    "/both 400 0:0 10",
    "token",
    "same",
    "10",
    "Read-only file system",
    "tmpfs",
  ];
  expect(printed(await build(slipway, dockerfile("same"), args, { env }))).toEqual(expected);
  const { layers, history } = await inspect(slipway);
  expect(layers.slice(1)).toEqual([[]]);
  expect(history.at(-1)).toStartWith("RUN /bin/sh -c stat");
  // Another value is no reason to run again.
  writeFiles(slipway.directory, { token: "other\n" });
  expect((await build(slipway, dockerfile("same"), args, { env: { FROM_HERE: "else" } })).stderr).toContain("CACHED");
  writeFiles(slipway.directory, { token: `${word}\n` });
  const failed = await build(slipway, `${dockerfile("last")}RUN --mount=type=secret,id=token false\n`, args, {
    env,
    exit: 1,
  });
  expect(failed.stderr).not.toContain(word);
  // With cache=content it is one, for the steps that use it, and the reason names it without saying it.
  const keyed = (value: string) =>
    build(
      slipway,
      "FROM alpine\nRUN --mount=type=secret,id=word,env=WORD echo ran\nRUN echo another >/a",
      ["--explain", "--secret", "id=word,env=FROM_HERE,cache=content"],
      { env: { FROM_HERE: value } },
    );
  expect(printed(await keyed(word))).toEqual(["ran"]);
  expect(printed(await keyed(word))).toEqual([]);
  const again = await keyed("changed");
  expect(printed(again)).toEqual(["ran"]);
  expect(again.stderr).toMatch(/because: secret word: [0-9a-f]{12} → [0-9a-f]{12}\n/);
  expect(again.stderr).toMatch(/echo another >\/a\n#\d+ CACHED/);
  expect(printed(await keyed(word))).toEqual([]);
  for (const path of readdirSync(slipway.root, { recursive: true, withFileTypes: true }))
    if (path.isFile() && readFileSync(join(path.parentPath, path.name)).includes(word))
      throw new Error(`the secret is in ${path.name}`);
});
