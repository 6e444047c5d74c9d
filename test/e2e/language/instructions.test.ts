import { expect } from "bun:test";
import { buildImage } from "../../support/builtImage.ts";
import { contextFiles } from "../../support/contextFiles.ts";
import { e2e } from "../../support/e2e.ts";

e2e("the config and history that the instructions without files make", async (slipway) => {
  contextFiles(slipway, { "etc/passwd": "root:x:0:0::/:/\nme:x:1000:1001::/:/\n", f: "f" });
  await buildImage(
    slipway,
    [
      "FROM scratch",
      "COPY etc /etc",
      'ENTRYPOINT ["/base"]',
      'CMD ["base"]',
      "ONBUILD ENV CHILD=$CHILD_OF-yes",
      "ONBUILD COPY f /onbuild/",
      "VOLUME /vol",
    ].join("\n"),
    { args: ["-t", "parent"] },
  );
  const image = await buildImage(
    slipway,
    [
      "ARG BASE=parent",
      "FROM scratch AS other",
      "COPY f /other",
      "FROM $BASE AS child",
      "ARG V=1 W",
      'ENV A=$V B="two words" PATH=/bin',
      "LABEL l=$A m='q q'",
      "MAINTAINER me@here",
      "WORKDIR /w",
      "USER me",
      "WORKDIR own/deep",
      "USER 77",
      "WORKDIR /numeric",
      "USER 77:0",
      "WORKDIR /grouped",
      "COPY --from=other /other /vol/kept",
      "EXPOSE 80 90-92/udp $V",
      'SHELL ["/sh", "-x"]',
      "CMD run $A",
      "ENTRYPOINT enter",
      "HEALTHCHECK --interval=5s --retries=2 CMD check",
      "STOPSIGNAL SIGINT",
      'VOLUME ["/a b", "/vol"]',
    ].join("\n"),
    { args: ["--build-arg", "W=w"] },
  );
  expect(image.config.config).toMatchInlineSnapshot(`
    {
      "ArgsEscaped": true,
      "Cmd": [
        "/sh",
        "-x",
        "run $A",
      ],
      "Entrypoint": [
        "/sh",
        "-x",
        "enter",
      ],
      "Env": [
        "PATH=/bin",
        "CHILD=-yes",
        "A=1",
        "B=two words",
      ],
      "ExposedPorts": {
        "1/tcp": {},
        "80/tcp": {},
        "90/udp": {},
        "91/udp": {},
        "92/udp": {},
      },
      "Healthcheck": {
        "Interval": 5000000000,
        "Retries": 2,
        "Test": [
          "CMD-SHELL",
          "check",
        ],
      },
      "Labels": {
        "l": "1",
        "m": "q q",
      },
      "Shell": [
        "/sh",
        "-x",
      ],
      "StopSignal": "SIGINT",
      "User": "77:0",
      "Volumes": {
        "/a b": {},
        "/vol": {},
      },
      "WorkingDir": "/grouped",
    }
  `);
  expect(image.config.author).toBe("me@here");
  expect(image.tree(1)).toMatchInlineSnapshot(`
    {
      "grouped": "directory 755 77:0",
      "numeric": "directory 755 77:77",
      "onbuild": "directory 755 0:0",
      "onbuild/f": "file 644 0:0 f",
      "vol": "directory 755 0:0",
      "vol/kept": "file 644 0:0 f",
      "w": "directory 755 0:0",
      "w/own": "directory 755 1000:1001",
      "w/own/deep": "directory 755 1000:1001",
    }
  `);
  expect(
    image.config.history?.map(({ created_by, empty_layer }) => `${empty_layer ? "-" : "L"} ${created_by}`),
  ).toMatchInlineSnapshot(`
    [
      "L COPY etc /etc # buildkit",
      "- ENTRYPOINT ["/base"]",
      "- CMD ["base"]",
      "- VOLUME [/vol]",
      "- ENV CHILD=-yes",
      "L COPY f /onbuild/ # buildkit",
      "- ARG V=1 W=w",
      "- ENV A=1 B=two words PATH=/bin",
      "- LABEL l=1 m=q q",
      "- MAINTAINER me@here",
      "L WORKDIR /w",
      "- USER me",
      "L WORKDIR /w/own/deep",
      "- USER 77",
      "L WORKDIR /numeric",
      "- USER 77:0",
      "L WORKDIR /grouped",
      "L COPY /other /vol/kept # buildkit",
      "- EXPOSE [1/tcp 80/tcp 90/udp 91/udp 92/udp]",
      "- SHELL [/sh -x]",
      "- CMD ["/sh" "-x" "run $A"]",
      "- ENTRYPOINT ["/sh" "-x" "enter"]",
      "- HEALTHCHECK {Test:[CMD-SHELL check] Interval:5s Timeout:0s StartPeriod:0s StartInterval:0s Retries:2}",
      "- STOPSIGNAL SIGINT",
      "- VOLUME [/a b /vol]",
    ]
  `);
});
