import { expect } from "bun:test";
import { chmodSync, linkSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { AT_FDCWD } from "../../../src/linux/constants.ts";
import { createLinux } from "../../../src/linux/createLinux.ts";
import { buildImage } from "../../support/builtImage.ts";
import { e2e } from "../../support/e2e.ts";
import type { Slipway } from "../../support/withSlipway.ts";

/** Files by path, `text` or [text, mode]; a path that ends with `/` is a directory. */
function context(slipway: Slipway, files: Record<string, string | [text: string, mode: number]>): void {
  for (const [path, what] of Object.entries(files)) {
    const at = join(slipway.directory, path);
    const [text, mode] = typeof what === "string" ? [what, path.endsWith("/") ? 0o755 : 0o644] : what;
    mkdirSync(path.endsWith("/") ? at : dirname(at), { recursive: true });
    if (!path.endsWith("/")) writeFileSync(at, text);
    chmodSync(at, mode);
  }
}

e2e("sources, wildcards and destinations come out as BuildKit has them", async (slipway) => {
  context(slipway, {
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
  context(slipway, {
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
