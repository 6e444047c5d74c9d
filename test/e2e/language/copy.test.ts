import { expect } from "bun:test";
import { chownSync, linkSync, symlinkSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { AT_FDCWD } from "../../../src/linux/constants.ts";
import { createLinux } from "../../../src/linux/createLinux.ts";
import { contextFiles } from "../../support/contextFiles.ts";
import { buildImage } from "../../support/builtImage.ts";
import { e2e } from "../../support/e2e.ts";

const linux = createLinux();

e2e("sources, wildcards and destinations come out as BuildKit has them", async (slipway) => {
  contextFiles(slipway, {
    "a.txt": ["a", 0o640],
    "b.txt": "b",
    "dir/": ["", 0o750],
    "dir/sub/": ["", 0o711],
    "dir/sub/deep": ["deep", 0o755],
    "dir/top": "top",
    "empty/": "",
    "real/file": "real",
    "[x].md": "bracket",
  });
  symlinkSync("real/file", join(slipway.directory, "link"));
  symlinkSync("../../..//real", join(slipway.directory, "dir/outward"));
  utimesSync(join(slipway.directory, "dir"), 1_000_000_000, 1_000_000_000);
  utimesSync(join(slipway.directory, "dir/sub"), 1_100_000_000, 1_100_000_000);
  utimesSync(join(slipway.directory, "a.txt"), 1_200_000_000, 1_200_000_000);
  const image = await buildImage(
    slipway,
    [
      "FROM scratch",
      "COPY a.txt b.txt /both/",
      "COPY ?.txt /wild/",
      "COPY ../../a.txt /../clamped",
      "COPY dir /new",
      "COPY dir/ /new2/deeper/",
      "COPY link /followed",
      "COPY dir/outward/file /through",
      "COPY no*thing /nothing/",
      "COPY [[]x].md /md/",
      'COPY ["a.txt", "/with space/"]',
      "WORKDIR /work/dir",
      "COPY a.txt .",
      "COPY a.txt rel/name",
      "COPY dir/* /flat/",
      "COPY empty /empty",
      "COPY . /all/",
    ].join("\n"),
  );
  const tree = image.tree();
  for (const path of Object.keys(tree)) if (path.startsWith("all/") && path !== "all/a.txt") delete tree[path];
  expect(tree).toMatchInlineSnapshot(`
    {
      "all": "directory 755 0:0",
      "all/a.txt": "file 640 0:0 a",
      "both": "directory 755 0:0",
      "both/a.txt": "file 640 0:0 a",
      "both/b.txt": "file 644 0:0 b",
      "clamped": "file 640 0:0 a",
      "empty": "directory 755 0:0",
      "flat": "directory 755 0:0",
      "flat/deep": "file 755 0:0 deep",
      "flat/file": "file 644 0:0 real",
      "flat/top": "file 644 0:0 top",
      "followed": "file 644 0:0 real",
      "md": "directory 755 0:0",
      "md/[x].md": "file 644 0:0 bracket",
      "new": "directory 755 0:0",
      "new/outward": "symlink 777 0:0 -> ../../..//real",
      "new/sub": "directory 711 0:0",
      "new/sub/deep": "file 755 0:0 deep",
      "new/top": "file 644 0:0 top",
      "new2": "directory 755 0:0",
      "new2/deeper": "directory 755 0:0",
      "new2/deeper/outward": "symlink 777 0:0 -> ../../..//real",
      "new2/deeper/sub": "directory 711 0:0",
      "new2/deeper/sub/deep": "file 755 0:0 deep",
      "new2/deeper/top": "file 644 0:0 top",
      "through": "file 644 0:0 real",
      "wild": "directory 755 0:0",
      "wild/a.txt": "file 640 0:0 a",
      "wild/b.txt": "file 644 0:0 b",
      "with space": "directory 755 0:0",
      "with space/a.txt": "file 640 0:0 a",
      "work": "directory 755 0:0",
      "work/dir": "directory 755 0:0",
      "work/dir/a.txt": "file 640 0:0 a",
      "work/dir/rel": "directory 755 0:0",
      "work/dir/rel/name": "file 640 0:0 a",
    }
  `);
  expect(image.file("new").mtime.sec).toBe(1_000_000_000);
  expect(image.file("new/sub").mtime.sec).toBe(1_100_000_000);
  expect(image.file("both/a.txt").mtime.sec).toBe(1_200_000_000);
  expect(image.history).toMatchInlineSnapshot(`
    [
      "COPY a.txt b.txt /both/ # buildkit",
      "COPY ?.txt /wild/ # buildkit",
      "COPY ../../a.txt /../clamped # buildkit",
      "COPY dir /new # buildkit",
      "COPY dir/ /new2/deeper/ # buildkit",
      "COPY link /followed # buildkit",
      "COPY dir/outward/file /through # buildkit",
      "COPY no*thing /nothing/ # buildkit",
      "COPY [[]x].md /md/ # buildkit",
      "COPY a.txt /with space/ # buildkit",
      "WORKDIR /work/dir",
      "COPY a.txt . # buildkit",
      "COPY a.txt rel/name # buildkit",
      "COPY dir/* /flat/ # buildkit",
      "COPY empty /empty # buildkit",
      "COPY . /all/ # buildkit",
    ]
  `);
});

e2e("--parents keeps the way, --exclude leaves out what a walk with its patterns leaves out", async (slipway) => {
  contextFiles(slipway, {
    "a/": ["", 0o750],
    "a/b/": ["", 0o711],
    "a/b/one.md": "1",
    "a/b/two.txt": "2",
    "a/b/c/d/e/baz": "baz",
    "a/b2/c/d/e/bar": "bar",
    "a/b2/c/keep/f": "f",
    "plain.txt": "p",
  });
  symlinkSync("b", join(slipway.directory, "a/link"));
  const parts: Record<string, string> = {
    plain: "COPY --parents a/b/one.md plain.txt /x/",
    directory: "COPY --parents ./a/b2/. /x/",
    pivot: "COPY --parents a/b/./c/d /x/",
    double: "COPY --parents a/./b/./c /x/",
    wild: "COPY --parents a/./*/c/**/bar /x/",
    wildPivot: "COPY --parents a/b*/./c/**/e /x/",
    deep: "COPY --parents **/*.txt /x/",
    excludeFromRoot: "COPY --parents --exclude=a/b/*.md a/b /x/",
    exclude: "COPY --exclude=*.md --exclude=**/e a/b /x/",
    exception: "COPY --exclude=** --exclude=!b2/c/keep a /x/",
    exceptionBelow: "COPY --exclude=b* --exclude=!b/c/d a /x/",
    named: "COPY --exclude=plain.txt plain.txt /x/",
    linkInWildcard: "COPY a/l*/one.md /x/",
    stars: "COPY a/**/one.md /x/",
  };
  const names = Object.keys(parts);
  const image = await buildImage(
    slipway,
    [
      ...Object.entries(parts).flatMap(([name, line]) => [`FROM scratch AS s-${name.toLowerCase()}`, line]),
      "FROM scratch",
      ...names.map((name) => `COPY --from=s-${name.toLowerCase()} / /${name}/`),
    ].join("\n"),
  );
  const tree = Object.entries(image.tree());
  const of = (name: string) =>
    tree
      .filter(([path]) => path.startsWith(`${name}/x`))
      .map(
        ([path, line]) =>
          `${path.slice(name.length)} ${line
            .replace(/ 0:0.*/, "")
            .replace("directory", "d")
            .replace("file", "f")}`,
      );
  expect(Object.fromEntries(names.map((name) => [name, of(name)]))).toMatchInlineSnapshot(`
    {
      "deep": [
        "/x d 755",
        "/x/a d 750",
        "/x/a/b d 711",
        "/x/a/b/two.txt f 644",
        "/x/plain.txt f 644",
      ],
      "directory": [
        "/x d 755",
        "/x/a d 750",
        "/x/a/b2 d 755",
        "/x/a/b2/c d 755",
        "/x/a/b2/c/d d 755",
        "/x/a/b2/c/d/e d 755",
        "/x/a/b2/c/d/e/bar f 644",
        "/x/a/b2/c/keep d 755",
        "/x/a/b2/c/keep/f f 644",
      ],
      "double": [
        "/x d 755",
        "/x/b d 711",
        "/x/b/c d 755",
        "/x/b/c/d d 755",
        "/x/b/c/d/e d 755",
        "/x/b/c/d/e/baz f 644",
      ],
      "exception": [
        "/x d 755",
        "/x/b2 d 755",
        "/x/b2/c d 755",
        "/x/b2/c/keep d 755",
        "/x/b2/c/keep/f f 644",
      ],
      "exceptionBelow": [
        "/x d 755",
        "/x/b d 711",
        "/x/b/c d 755",
        "/x/b/c/d d 755",
        "/x/b/c/d/e d 755",
        "/x/b/c/d/e/baz f 644",
        "/x/link symlink 777",
      ],
      "exclude": [
        "/x d 755",
        "/x/c d 755",
        "/x/c/d d 755",
        "/x/two.txt f 644",
      ],
      "excludeFromRoot": [
        "/x d 755",
        "/x/a d 750",
        "/x/a/b d 711",
        "/x/a/b/c d 755",
        "/x/a/b/c/d d 755",
        "/x/a/b/c/d/e d 755",
        "/x/a/b/c/d/e/baz f 644",
        "/x/a/b/two.txt f 644",
      ],
      "linkInWildcard": [],
      "named": [
        "/x d 755",
        "/x/plain.txt f 644",
      ],
      "pivot": [
        "/x d 755",
        "/x/c d 755",
        "/x/c/d d 755",
        "/x/c/d/e d 755",
        "/x/c/d/e/baz f 644",
      ],
      "plain": [
        "/x d 755",
        "/x/a d 750",
        "/x/a/b d 711",
        "/x/a/b/one.md f 644",
        "/x/plain.txt f 644",
      ],
      "stars": [
        "/x d 755",
        "/x/one.md f 644",
      ],
      "wild": [
        "/x d 755",
        "/x/b2 d 755",
        "/x/b2/c d 755",
        "/x/b2/c/d d 755",
        "/x/b2/c/d/e d 755",
        "/x/b2/c/d/e/bar f 644",
      ],
      "wildPivot": [
        "/x d 755",
        "/x/c d 755",
        "/x/c/d d 755",
        "/x/c/d/e d 755",
        "/x/c/d/e/bar f 644",
        "/x/c/d/e/baz f 644",
      ],
    }
  `);
});

e2e("owners, modes, links, attributes and special files of COPY", async (slipway) => {
  contextFiles(slipway, {
    "etc/passwd": "root:x:0:0::/:/\nme:x:1000:1001::/:/\n7:x:70:71::/:/\n",
    "etc/group": "root:x:0:\nstaff:x:50:\n",
    "d/": ["", 0o700],
    "d/f": ["f", 0o6640],
    "d/x": ["x", 0o751],
    "d/sub/": ["", 0o1770],
    "d/sub/g": ["g", 0o600],
  });
  const at = (path: string) => join(slipway.directory, path);
  linkSync(at("d/f"), at("d/sub/hard"));
  symlinkSync("f", at("d/soft"));
  linux.mknodat(AT_FDCWD, at("d/fifo"), 0o010644, 0, 0);
  linux.setxattr(AT_FDCWD, at("d/x"), "user.note", Buffer.from("kept"));
  for (const path of ["d", "d/x", "d/sub"]) chownSync(at(path), 500, 501);
  const image = await buildImage(
    slipway,
    [
      "FROM scratch AS base",
      "COPY etc /etc",
      "COPY --chown=me d/x /owned/",
      "FROM scratch AS second",
      "ARG WHO=world",
      "COPY --chmod=0400 --chown=3 <<one <<'two' /said/",
      "hello $WHO",
      "one",
      "hello $WHO",
      "two",
      "FROM base AS end",
      "COPY --chown=me d/x /by/name/",
      "COPY --chown=me:staff d/x /by/group/",
      "COPY --chown=7 d/x /by/number",
      "COPY --chown=7:staff d/x /by/mixed",
      "COPY --chown=me: d/x /by/colon",
      "COPY --chown=ghost:ghost d/x /by/ghost",
      "COPY --chmod=604 d /mode/octal",
      "COPY --chmod=u=rwX,go=rX d /mode/symbolic",
      "COPY --chmod=4711 --chown=1:2 d/x /mode/x",
      "COPY --from=base /owned /mode/owned",
      "COPY --from=0 /owned/x /numbered",
      "COPY d /d",
      "COPY --from=SECOND /said /said",
    ].join("\n"),
    { args: ["--target", "end"] },
  );
  expect(image.tree(2)).toMatchInlineSnapshot(`
    {
      "by": "directory 755 1000:1001",
      "by/colon": "file 751 1000:1001 x",
      "by/ghost": "file 751 0:0 x",
      "by/group": "directory 755 1000:50",
      "by/group/x": "file 751 1000:50 x",
      "by/mixed": "file 751 7:50 x",
      "by/name": "directory 755 1000:1001",
      "by/name/x": "file 751 1000:1001 x",
      "by/number": "file 751 7:7 x",
      "d": "directory 755 0:0",
      "d/f": "file 6640 0:0 f",
      "d/fifo": "fifo 644 0:0",
      "d/soft": "symlink 777 0:0 -> f",
      "d/sub": "directory 1770 0:0",
      "d/sub/g": "file 600 0:0 g",
      "d/sub/hard": "hardlink 6640 0:0 -> d/f",
      "d/x": "file 751 0:0 x",
      "mode": "directory 755 0:0",
      "mode/octal": "directory 755 0:0",
      "mode/octal/f": "file 604 0:0 f",
      "mode/octal/fifo": "fifo 604 0:0",
      "mode/octal/soft": "symlink 777 0:0 -> f",
      "mode/octal/sub": "directory 604 0:0",
      "mode/octal/sub/g": "file 604 0:0 g",
      "mode/octal/sub/hard": "hardlink 604 0:0 -> mode/octal/f",
      "mode/octal/x": "file 604 0:0 x",
      "mode/owned": "directory 755 0:0",
      "mode/owned/x": "file 751 1000:1001 x",
      "mode/symbolic": "directory 755 0:0",
      "mode/symbolic/f": "file 644 0:0 f",
      "mode/symbolic/fifo": "fifo 644 0:0",
      "mode/symbolic/soft": "symlink 777 0:0 -> f",
      "mode/symbolic/sub": "directory 1755 0:0",
      "mode/symbolic/sub/g": "file 644 0:0 g",
      "mode/symbolic/sub/hard": "hardlink 644 0:0 -> mode/symbolic/f",
      "mode/symbolic/x": "file 755 0:0 x",
      "mode/x": "file 4711 1:2 x",
      "numbered": "file 751 1000:1001 x",
      "said": "directory 755 0:0",
      "said/one": "file 400 3:3 hello world",
      "said/two": "file 400 3:3 hello $WHO",
    }
  `);
  expect(image.file("d/x").xattrs).toEqual([["user.note", new Uint8Array(Buffer.from("kept"))]]);
  expect(image.history.slice(2)).toMatchInlineSnapshot(`
    [
      "COPY --chown=me d/x /by/name/ # buildkit",
      "COPY --chown=me:staff d/x /by/group/ # buildkit",
      "COPY --chown=7 d/x /by/number # buildkit",
      "COPY --chown=7:staff d/x /by/mixed # buildkit",
      "COPY --chown=me: d/x /by/colon # buildkit",
      "COPY --chown=ghost:ghost d/x /by/ghost # buildkit",
      "COPY --chmod=604 d /mode/octal # buildkit",
      "COPY --chmod=u=rwX,go=rX d /mode/symbolic # buildkit",
      "COPY --chown=1:2 --chmod=4711 d/x /mode/x # buildkit",
      "COPY /owned /mode/owned # buildkit",
      "COPY /owned/x /numbered # buildkit",
      "COPY d /d # buildkit",
      "COPY /said /said # buildkit",
    ]
  `);
});

e2e(
  "--link writes what it would on an empty base; without it, links and directories below are kept",
  async (slipway) => {
    contextFiles(slipway, { f: "f", "d/g": "g" });
    symlinkSync("real", join(slipway.directory, "d/alias"));
    const image = await buildImage(
      slipway,
      [
        "FROM scratch",
        "COPY --chown=5:6 --chmod=0711 d /real/",
        "COPY d /",
        "COPY f /alias/plain/",
        "COPY --link f /alias/linked/",
        "COPY --link --chmod=0600 d /real/",
      ].join("\n"),
    );
    expect(image.layers.map((files) => [...files.keys()].filter((path) => path !== ""))).toMatchInlineSnapshot(`
    [
      [
        "real",
        "real/alias",
        "real/g",
      ],
      [
        "alias",
        "g",
      ],
      [
        "real",
        "real/plain",
        "real/plain/f",
      ],
      [
        "alias",
        "alias/linked",
        "alias/linked/f",
      ],
      [
        "real",
        "real/alias",
        "real/g",
      ],
    ]
  `);
    const missing = await slipway.run(["build", "-f", "-", "."], { input: "FROM scratch\nCOPY ff /x", exit: 1 });
    expect(missing.stderr).toMatch(/"\/ff" not found/);
    const noDirectory = await slipway.run(["build", "-f", "-", "."], {
      input: "FROM scratch\nCOPY nowhere/* /x",
      exit: 1,
    });
    expect(noDirectory.stderr).toMatch(/nowhere.* not found/);
    const chmod = await slipway.run(["build", "-f", "-", "."], {
      input: "FROM scratch\nCOPY --chmod=10000 f /x",
      exit: 1,
    });
    expect(chmod.stderr).toContain(
      "invalid chmod parameter: '10000'. it should be octal string and between 0 and 07777",
    );
  },
);
