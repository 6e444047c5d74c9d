import { expect } from "bun:test";
import { buildImage } from "../../support/builtImage.ts";
import { contextFiles } from "../../support/contextFiles.ts";
import { e2e } from "../../support/e2e.ts";

e2e("what a build is told is said back where it went wrong: files, arguments, stages, flags", async (slipway) => {
  contextFiles(slipway, {
    "c/src/app.ts": "",
    "c/secret": "",
    "c/.dockerignore": "secret\n",
  });
  const said = async (dockerfile: string, ...args: string[]): Promise<string> => {
    const { stderr } = await slipway.run(["build", ...args, "-f", "-", "c"], { input: dockerfile, exit: "any" });
    return stderr;
  };
  expect(await said("FROM scratch\nCOPY src/ap.ts /\n")).toContain("Did you mean src/app.ts?");
  expect(await said("FROM scratch\nCOPY secret /\n")).toContain("secret is there, but the ignore file leaves it out");
  expect(await said("FROM scratch\nCOPY none /\n")).toContain('"/none" not found');
  expect(await said("FROM scratch\nCOPY src /\n", "--build-arg", "VERSON=1", "--build-arg", "http_proxy=x")).toContain(
    "WARNING: One or more build-args [VERSON] were not consumed",
  );
  const syntax = "# syntax=docker/dockerfile:1\nFROM scratch\nCOPY src /\n";
  expect(await said(syntax, "-D")).toContain("syntax image docker/dockerfile:1 is not fetched");
  expect(await said(syntax)).not.toContain("not fetched");
  expect(await said("FROM scratch AS build\n", "--target", "buidl")).toContain("Did you mean build?");
  expect(await said("FROM scratch\nCOYP src /\n")).toContain("Did you mean COPY?");
  expect(await said("FROM scratch\n", "--resource", "memory=1g")).toContain("without a cgroup");
});

e2e("a stage's platform, its name in TARGETSTAGE, files from an image, and writes below a VOLUME", async (slipway) => {
  contextFiles(slipway, { "c/x": "" });
  const image = await buildImage(
    slipway,
    [
      "ARG STAGE=$TARGETSTAGE",
      "FROM --platform=$BUILDPLATFORM alpine AS first",
      "ARG STAGE",
      "ARG TARGETSTAGE TARGETARCH BUILDOS",
      "VOLUME /data",
      'RUN mkdir -p /data && echo "$STAGE $TARGETSTAGE $TARGETARCH $BUILDOS" > /data/args',
      "FROM scratch AS second",
      "COPY --from=first /data /data",
      "COPY --from=alpine /bin/busybox /bin/",
    ].join("\n"),
    { args: ["--target", "second"], context: "c" },
  );
  const arch = process.arch === "x64" ? "amd64" : process.arch;
  expect(image.file("data/args").text).toBe(`second second ${arch} linux\n`);
  expect(image.file("bin/busybox").mode & 0o111).toBe(0o111);
});
