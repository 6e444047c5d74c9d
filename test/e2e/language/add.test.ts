import { expect } from "bun:test";
import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sha256 } from "../../../src/oci/digest.ts";
import { buildImage } from "../../support/builtImage.ts";
import { contextFiles } from "../../support/contextFiles.ts";
import { e2e } from "../../support/e2e.ts";
import { withGitDaemon } from "../../support/gitDaemon.ts";
import { sh } from "../../support/shell.ts";

e2e("ADD unpacks archives by their bytes, and copies what is none", async (slipway) => {
  contextFiles(slipway, { "t/bin/tool": ["tool", 0o4755], "t/etc/": ["", 0o700], "t/etc/.wh.odd": "odd" });
  const at = (path: string) => join(slipway.directory, path);
  symlinkSync("tool", at("t/bin/link"));
  utimesSync(at("t/bin/tool"), 1_000_000_000, 1_000_000_000);
  sh(
    slipway.directory,
    `tar -C t --owner=7 --group=8 --numeric-owner -cf plain.tar bin etc
    gzip -k plain.tar; mv plain.tar.gz gz.bin; bzip2 -k plain.tar; xz -k plain.tar; zstd -q -k plain.tar
    echo text | gzip > text.gz; head -c 200 gz.bin > cut.gz`,
  );
  const image = await buildImage(
    slipway,
    [
      "FROM scratch",
      "ADD gz.bin /gz",
      "ADD plain.tar.bz2 plain.tar.xz /several/",
      "ADD --chown=1:2 plain.tar.zst /zstd/",
      "ADD plain.tar /plain/deep/",
      "ADD text.gz /text/",
      "ADD --unpack=false plain.tar /kept.tar",
      "ADD t/bin /directory",
      "ADD --link gz.bin /several/",
      "COPY gz.bin /copied/",
    ].join("\n"),
  );
  const tree = image.tree();
  expect(tree).toMatchInlineSnapshot(`
    {
      "copied": "directory 755 0:0",
      "copied/gz.bin": "file 644 0:0 binary",
      "directory": "directory 755 0:0",
      "directory/link": "symlink 777 0:0 -> tool",
      "directory/tool": "file 4755 0:0 tool",
      "gz": "directory 755 0:0",
      "gz/bin": "directory 755 7:8",
      "gz/bin/link": "symlink 777 7:8 -> tool",
      "gz/bin/tool": "file 4755 7:8 tool",
      "gz/etc": "directory 700 7:8",
      "gz/etc/.wh.odd": "file 644 7:8 odd",
      "kept.tar": "file 644 0:0 binary",
      "plain": "directory 755 0:0",
      "plain/deep": "directory 755 0:0",
      "plain/deep/bin": "directory 755 7:8",
      "plain/deep/bin/link": "symlink 777 7:8 -> tool",
      "plain/deep/bin/tool": "file 4755 7:8 tool",
      "plain/deep/etc": "directory 700 7:8",
      "plain/deep/etc/.wh.odd": "file 644 7:8 odd",
      "several": "directory 755 0:0",
      "several/bin": "directory 755 7:8",
      "several/bin/link": "symlink 777 7:8 -> tool",
      "several/bin/tool": "file 4755 7:8 tool",
      "several/etc": "directory 700 7:8",
      "several/etc/.wh.odd": "file 644 7:8 odd",
      "text": "directory 755 0:0",
      "text/text.gz": "file 644 0:0 binary",
      "zstd": "directory 755 1:2",
      "zstd/bin": "directory 755 1:2",
      "zstd/bin/link": "symlink 777 1:2 -> tool",
      "zstd/bin/tool": "file 4755 1:2 tool",
      "zstd/etc": "directory 700 1:2",
      "zstd/etc/.wh.odd": "file 644 1:2 odd",
    }
  `);
  expect(image.file("gz/bin/tool").mtime.sec).toBe(1_000_000_000);
  const cut = await slipway.run(["build", "-f", "-", "."], { input: "FROM scratch\nADD cut.gz /", exit: "any" });
  expect(cut.exitCode).toBe(1);
});

e2e("ADD of a URL: name, mode and time of the file, checksums, and a second build that only asks", async (slipway) => {
  const asked: string[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      const { pathname } = new URL(request.url);
      const condition = request.headers.get("if-none-match") ?? request.headers.get("if-modified-since") ?? "-";
      asked.push(`${pathname} ${condition}`);
      if (pathname === "/moved/name") return Response.redirect("/a/file.txt", 302);
      if (pathname === "/a/file.txt") {
        if (condition === '"v1"') return new Response(null, { status: 304 });
        return new Response("bytes", { headers: { ETag: '"v1"', "Last-Modified": "Sun, 09 Sep 2001 01:46:40 GMT" } });
      }
      if (pathname === "/modified") {
        if (condition !== "-") return new Response(null, { status: 304 });
        return new Response("m", { headers: { "Last-Modified": "Sun, 09 Sep 2001 01:46:40 GMT" } });
      }
      if (pathname === "/plain%20name") return new Response("no headers");
      if (pathname === "/encoded.tar.gz")
        return new Response(Bun.gzipSync("not a tar"), { headers: { "Content-Encoding": "gzip" } });
      if (pathname === "/layer.tar") return new Response(Bun.file(join(slipway.directory, "layer.tar")));
      return new Response("gone", { status: 404 });
    },
  });
  try {
    writeFileSync(join(slipway.directory, "in"), "in");
    sh(slipway.directory, "tar -cf layer.tar in");
    const url = `http://127.0.0.1:${server.port}`;
    const digest = sha256("bytes");
    const lines = [
      "FROM scratch",
      `ADD ${url}/a/file.txt?x=1#y /dir/`,
      `ADD --checksum=${digest} --chmod=640 --chown=3:4 ${url}/a/file.txt /renamed`,
      `ADD ${url}/moved/name ${url}/modified /two/`,
      `ADD ["${url}/plain%20name", "/bare/"]`,
      `ADD ${url}/encoded.tar.gz /encoded`,
      `ADD ${url}/layer.tar /tar/`,
      `ADD --unpack=true ${url}/layer.tar /untar/`,
      `ADD --link ${url}/modified /linked/`,
    ];
    const image = await buildImage(slipway, lines.join("\n"));
    expect(image.tree()).toMatchInlineSnapshot(`
      {
        "bare": "directory 755 0:0",
        "bare/plain name": "file 600 0:0 no headers",
        "dir": "directory 755 0:0",
        "dir/file.txt": "file 600 0:0 bytes",
        "encoded": "file 600 0:0 binary",
        "linked": "directory 755 0:0",
        "linked/modified": "file 600 0:0 m",
        "renamed": "file 640 3:4 bytes",
        "tar": "directory 755 0:0",
        "tar/layer.tar": "file 600 0:0 binary",
        "two": "directory 755 0:0",
        "two/modified": "file 600 0:0 m",
        "two/name": "file 600 0:0 bytes",
        "untar": "directory 755 0:0",
        "untar/in": "file 644 0:0 in",
      }
    `);
    expect(image.file("dir/file.txt").mtime).toEqual({ sec: 1_000_000_000, nsec: 0 });
    expect(image.file("bare/plain name").mtime.sec).toBe(0);
    expect(image.file("encoded").size).toBe(Bun.gzipSync("not a tar").length);

    asked.length = 0;
    const again = await buildImage(slipway, lines.join("\n"));
    expect(again.config.rootfs).toEqual(image.config.rootfs);
    expect(asked).toContain('/a/file.txt "v1"');
    expect(asked).toContain("/modified Sun, 09 Sep 2001 01:46:40 GMT");

    const fails = async (line: string) =>
      (await slipway.run(["build", "-f", "-", "."], { input: `FROM scratch\n${line}`, exit: 1 })).stderr;
    expect(await fails(`ADD ${url}/none /x`)).toMatch(/\/none.*404/);
    expect(await fails(`ADD --checksum=${sha256("other")} ${url}/a/file.txt /x`)).toContain(digest);
    expect(await fails(`COPY ${url}/a/file.txt /x`)).toContain("source can't be a URL for COPY");
  } finally {
    await server.stop(true);
  }
});

e2e("ADD of a git repository: branch, tag, commit, subdirectory, submodules, .git and checksum", async (slipway) => {
  const base = join(slipway.directory, "../repositories");
  mkdirSync(base);
  sh(
    base,
    `export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
    git init -q -b main sub; (cd sub; echo sub > s; git add .; git commit -qm s)
    git init -q -b main repo; cd repo
    mkdir -p d/e; echo one > d/e/f; echo run > run; chmod 775 run; ln -s run l; git add .; git commit -qm 1; git tag -a v1 -m v1
    git checkout -q -b side; echo side > side; git add .; git commit -qm 2
    git checkout -q main; printf '[submodule "m"]\\n\\tpath = m\\n\\turl = ../../sub\\n' > .gitmodules; git clone -q ../sub m; git add .; git commit -qm 3`,
  );
  const commit = sh(join(base, "repo"), "git rev-parse side");
  await withGitDaemon(base, async (daemon) => {
    const dumb = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request) => {
        const path = new URL(request.url).pathname;
        const file = Bun.file(join(base, path.replace("/repo.git", "/repo/.git")));
        return file.exists().then((there) => (there ? new Response(file) : new Response("", { status: 404 })));
      },
    });
    sh(join(base, "repo"), "git update-server-info");
    const umask = process.umask(0o077); // children have it, too: nothing of it may show in the image
    try {
      const repo = `${daemon}/repo/.git`;
      const image = await buildImage(
        slipway,
        [
          "FROM scratch",
          `ADD ${repo} /head/`,
          `ADD ${repo}#v1 /tag/`,
          `ADD ${repo}#refs/heads/side:d/e /sub/`,
          `ADD --checksum=${commit} ${repo}#side /branch/`,
          `ADD --keep-git-dir=true ${repo}#${commit} /kept/`,
          `ADD ${repo}?branch=side&subdir=d /query/`,
          `ADD ${repo}?tag=v1&submodules=false /querytag/`,
          `ADD http://127.0.0.1:${dumb.port}/repo.git#side /dumb/`,
        ].join("\n"),
      );
      const tree = image.tree();
      const git = Object.keys(tree).filter((path) => path.includes("/.git/"));
      expect(git).toContain("kept/.git/HEAD");
      expect(git.filter((path) => !path.startsWith("kept/"))).toEqual([]);
      for (const path of git) delete tree[path];
      expect(tree).toMatchInlineSnapshot(`
        {
          "branch": "directory 755 0:0",
          "branch/d": "directory 755 0:0",
          "branch/d/e": "directory 755 0:0",
          "branch/d/e/f": "file 644 0:0 one",
          "branch/l": "symlink 777 0:0 -> run",
          "branch/run": "file 755 0:0 run",
          "branch/side": "file 644 0:0 side",
          "dumb": "directory 755 0:0",
          "dumb/d": "directory 755 0:0",
          "dumb/d/e": "directory 755 0:0",
          "dumb/d/e/f": "file 644 0:0 one",
          "dumb/l": "symlink 777 0:0 -> run",
          "dumb/run": "file 755 0:0 run",
          "dumb/side": "file 644 0:0 side",
          "head": "directory 755 0:0",
          "head/.gitmodules": 
        "file 644 0:0 [submodule "m"]
        	path = m
        	url = ../../sub"
        ,
          "head/d": "directory 755 0:0",
          "head/d/e": "directory 755 0:0",
          "head/d/e/f": "file 644 0:0 one",
          "head/l": "symlink 777 0:0 -> run",
          "head/m": "directory 755 0:0",
          "head/m/.git": "file 644 0:0 gitdir: ../.git/modules/m",
          "head/m/s": "file 644 0:0 sub",
          "head/run": "file 755 0:0 run",
          "kept": "directory 755 0:0",
          "kept/.git": "directory 755 0:0",
          "kept/d": "directory 755 0:0",
          "kept/d/e": "directory 755 0:0",
          "kept/d/e/f": "file 644 0:0 one",
          "kept/l": "symlink 777 0:0 -> run",
          "kept/run": "file 755 0:0 run",
          "kept/side": "file 644 0:0 side",
          "query": "directory 755 0:0",
          "query/e": "directory 755 0:0",
          "query/e/f": "file 644 0:0 one",
          "querytag": "directory 755 0:0",
          "querytag/d": "directory 755 0:0",
          "querytag/d/e": "directory 755 0:0",
          "querytag/d/e/f": "file 644 0:0 one",
          "querytag/l": "symlink 777 0:0 -> run",
          "querytag/run": "file 755 0:0 run",
          "sub": "directory 755 0:0",
          "sub/f": "file 644 0:0 one",
          "tag": "directory 755 0:0",
          "tag/d": "directory 755 0:0",
          "tag/d/e": "directory 755 0:0",
          "tag/d/e/f": "file 644 0:0 one",
          "tag/l": "symlink 777 0:0 -> run",
          "tag/run": "file 755 0:0 run",
        }
      `);
      const fails = async (line: string) =>
        (await slipway.run(["build", "-f", "-", "."], { input: `FROM scratch\n${line}`, exit: 1 })).stderr;
      expect(await fails(`ADD --checksum=${"0".repeat(40)} ${repo}#side /x`)).toContain(commit);
      expect(await fails(`ADD ${repo}#nowhere /x`)).toContain("nowhere");
      expect(await fails(`ADD ${repo}#v1:none /x`)).toContain('no directory "none"');
    } finally {
      process.umask(umask);
      await dumb.stop(true);
    }
  });
});
