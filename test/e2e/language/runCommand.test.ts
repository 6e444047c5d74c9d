import { expect } from "bun:test";
import { e2e } from "../../support/e2e.ts";
import { build, inspect, printed, refused } from "./runSupport.ts";

e2e("a heredoc is the shell's or a script of its own, as its first line and what is before it say", async (slipway) => {
  const ran = await build(
    slipway,
    `FROM alpine
ARG V=arg
RUN <<EOF
echo one $V
echo 'q "uote"'
EOF
RUN <<-"END"
	echo $V
		echo tabs
	END
RUN <<'script'
#!/bin/cat
as it is: $V \\n \${V}
script
RUN <<A cat > /a && cat <<-'B' > /b; cat <<"C D"
a $V
A
	b $V
B
c $V
C D
RUN ["/bin/echo", "exec $V", "<<EOF"]
SHELL ["/bin/sh", "-ec"]
RUN <<EOF
echo $0 $-; false
true
EOF
`.replace("false\n", "echo shell\n"),
  );
  expect(printed(ran).map((line) => line.replace(/^\/bin\/sh \S+$/, "/bin/sh FLAGS"))).toEqual([
    "one arg",
    'q "uote"',
    "arg",
    "tabs",
    "#!/bin/cat",
    "as it is: $V \\n ${V}",
    "c $V",
    "exec $V <<EOF",
    "/bin/sh FLAGS",
    "shell",
  ]);
  const { history, layers } = await inspect(slipway);
  expect(history.slice(-7)).toEqual([
    "RUN |1 V=arg /bin/sh -c echo one $V\necho 'q \"uote\"'\n # buildkit",
    "RUN |1 V=arg /bin/sh -c echo $V\necho tabs\n # buildkit",
    "RUN |1 V=arg /bin/sh -c /dev/pipes/script # buildkit",
    `RUN |1 V=arg /bin/sh -c <<A cat > /a && cat <<-'B' > /b; cat <<"C D"\na $V\nA\n\tb $V\nB\nc $V\nC D # buildkit`,
    "RUN |1 V=arg /bin/echo exec $V <<EOF # buildkit",
    "SHELL [/bin/sh -ec]",
    "RUN |1 V=arg /bin/sh -ec echo $0 $-; echo shell\ntrue\n # buildkit",
  ]);
  expect(layers.flat().filter((line) => /^[ab] /.test(line))).toEqual(['a 644 0:0 "a arg\\n"', 'b 644 0:0 "b $V\\n"']);
});

e2e("long commands arrive whole", async (slipway) => {
  const comment = "x".repeat(60);
  const lines = (n: number) => Array.from({ length: n }, (_, i) => `: ${comment} ${i}`).join("\n");
  const continued = Array.from({ length: 100 }, (_, i) => `: ${comment} ${i} && \\\n`).join("");
  const ran = await build(
    slipway,
    `FROM alpine
RUN ${continued} echo continued
RUN <<EOF
${lines(1500)}
echo heredoc
EOF
RUN <<EOF
#!/bin/sh
${lines(5000)}
echo script $(wc -c < $0)
EOF
RUN ["/bin/sh", "-c", "echo $# \${#1}", ${Array.from({ length: 11 }, () => JSON.stringify("y".repeat(30_000))).join(", \\\n")}]
`,
  );
  expect(printed(ran)).toEqual(["continued", "heredoc", expect.stringMatching(/^script 3\d{5}$/), "10 30000"]);
  // Linux gives one argument 128 KiB: no builder can hand over more, and the way out is said.
  const shown = await refused(slipway, `FROM alpine\nRUN <<EOF\n${lines(5000)}\nEOF\n`);
  expect(shown).toMatch(/too long/i);
  expect(shown).toContain("#!");
});

e2e(
  "a step's process has the user, directory, variables, files and limits that Dockerfile and command line say",
  async (slipway) => {
    const show = "id -u; id -g; id -G; echo $HOME; pwd";
    const ran = await build(
      slipway,
      `FROM alpine
RUN printf 'app:x:1000:1001:App:/home/app:/bin/sh\\n' >> /etc/passwd && printf 'app:x:1001:\\nextra:x:50:app\\nother:x:60:x,app\\n' >> /etc/group
WORKDIR /work/dir
RUN readlink /proc/self/fd/0; ${show}; hostname; ls -d /etc/hostname; env | grep -c ^HOSTNAME=; umask; ulimit -n; ulimit -Hn; df -k /dev/shm | awk 'NR==2{print $2}'
RUN cat /etc/hosts; echo x 2>&1 >> /etc/hosts | sed 's/.*: //'; test -s /etc/resolv.conf && echo resolv
USER app
RUN ${show}
USER 1000
RUN ${show}
USER app:other
RUN ${show}
USER 77:88
RUN ${show}
USER 4000
ENV HOME=/set PATH=/bin
RUN ${show}; echo $PATH
`,
      ["--add-host", "db:10.0.0.2", "--add-host", "six=[::2]", "--shm-size", "2m", "--ulimit", "nofile=100:200"].concat(
        ["--build-arg", "BUILDKIT_SANDBOX_HOSTNAME=builder"],
      ),
    );
    expect(printed(ran)).toEqual([
      ...[
        "/dev/null",
        "0",
        "0",
        "0 1 2 10",
        "/root",
        "/work/dir",
        "builder",
        "ls: /etc/hostname: No such file or directory",
      ],
      ...["0", "0022", "100", "200", "2048"],
      ...["127.0.0.1\tlocalhost builder", "::1\tlocalhost ip6-localhost ip6-loopback", "10.0.0.2\tdb", "::2\tsix"],
      ...["Read-only file system", "resolv"],
      ...["1000", "1001", "1001 50 60", "/home/app", "/work/dir"],
      ...["1000", "1001", "1001 50 60", "/home/app", "/work/dir"],
      ...["1000", "60", "60", "/home/app", "/work/dir"],
      ...["77", "88", "88", "/", "/work/dir"],
      ...["4000", "0", "0", "/set", "/work/dir", "/bin"],
    ]);
    const { layers, config } = await inspect(slipway);
    expect(layers.slice(2).flat().join(" ")).not.toMatch(/hosts|resolv/);
    expect(config.User).toBe("4000");
    expect(await refused(slipway, "FROM alpine\nUSER nemo\nRUN true\n")).toMatch(/unable to find user nemo/);
    expect(await refused(slipway, "FROM alpine\nUSER root:nemo\nRUN true\n")).toMatch(/unable to find group nemo/);
    expect((await slipway.run(["build", "--cgroup-parent", "x", "."], { exit: "any" })).stderr).toMatch(
      /cgroup-parent.*not supported/,
    );
    expect((await slipway.run(["build", "--ulimit", "nofiles=1", "."], { exit: 1 })).stderr).toMatch(/invalid ulimit/);
  },
);

e2e(
  "proxy arguments reach the step, and neither its key nor the image; declared arguments reach all three",
  async (slipway) => {
    const dockerfile = `FROM alpine
ARG A=default
ARG UNSET
ARG Q="two words"
RUN echo "$A|\${UNSET-unset}|$Q|$http_proxy|$HTTP_PROXY|$UNDECLARED"
`;
    const args = (proxy: string, a: string) =>
      [`HTTP_PROXY=${proxy}`, `A=${a}`, "UNDECLARED=no"].flatMap((each) => ["--build-arg", each]);
    expect(printed(await build(slipway, dockerfile, args("http://p:1", "one")))).toEqual([
      "one|unset|two words|http://p:1|http://p:1|",
    ]);
    const { history, config } = await inspect(slipway);
    expect(history.at(-1)).toBe(
      `RUN |3 A=one UNSET= Q=two words /bin/sh -c echo "$A|\${UNSET-unset}|$Q|$http_proxy|$HTTP_PROXY|$UNDECLARED" # buildkit`,
    );
    expect(JSON.stringify(config)).not.toContain("p:1");
    expect(printed(await build(slipway, dockerfile, args("http://p:2", "one")))).toEqual([]);
    expect(printed(await build(slipway, dockerfile, args("http://p:2", "two")))).toEqual([
      "two|unset|two words|http://p:2|http://p:2|",
    ]);
  },
);

e2e("a step is alone without network, and has more than the sandbox only where it is allowed", async (slipway) => {
  const links = "ls /sys/class/net | xargs";
  const dockerfile = `FROM alpine\nRUN --network=none ${links}\nRUN --network=default ${links}\n`;
  const [alone = "", host = ""] = printed(await build(slipway, dockerfile));
  expect(alone).toBe("lo");
  expect(printed(await build(slipway, dockerfile, ["--network", "none"]))).toEqual(["lo"]);
  const asking = `FROM alpine AS unused\nRUN --security=insecure false\nFROM alpine\nRUN --network=host ${links}\n`;
  const shown = await refused(slipway, asking);
  expect(shown).toContain("network.host is not allowed");
  expect(shown).toContain("--allow network.host");
  expect(shown).toMatch(/Dockerfile:4/);
  expect(printed(await build(slipway, asking, ["--allow", "network.host"]))).toEqual([host]);
  const caps =
    "FROM alpine\nRUN --security=insecure grep CapEff /proc/self/status; mount -t tmpfs x /mnt && echo mounted\n";
  expect(await refused(slipway, caps, "--allow", "network.host")).toContain("security.insecure is not allowed");
  expect(printed(await build(slipway, caps, ["--allow", "security.insecure"])).at(-1)).toBe("mounted");
  expect(
    printed(await build(slipway, caps.replace("insecure", "sandbox").replace("echo mounted", "echo mounted; true"))),
  ).toEqual(["CapEff:\t00000000a80425fb", expect.stringMatching(/denied|not permitted/)]);
});

e2e("a step's layer is what it changed, and empty where it changed nothing in the end", async (slipway) => {
  await build(
    slipway,
    `FROM alpine
RUN mkdir -p /d/e /same && echo f > /d/f && echo g > /d/e/g && touch /same/x
RUN true
RUN touch /etc/x /same/y && rm /etc/x /same/y && chmod 711 /d/e && chmod 755 /d/e
RUN umask 027; cd /d && rm f && rm -r e && mkdir -m 3770 e && echo 1 > e/one && ln e/one two && ln -s ../nowhere three && mkfifo four && \\
    chown 7:8 e/one && chmod 6755 e/one && chown -h 9:9 three && head -c 5000 /dev/zero > big && mkdir new && chmod 700 /same
`,
  );
  const { layers, history } = await inspect(slipway);
  expect(layers.slice(1)).toEqual([
    ["d/ 755 0:0", "d/e/ 755 0:0", 'd/e/g 644 0:0 "g\\n"', 'd/f 644 0:0 "f\\n"', "same/ 755 0:0", 'same/x 644 0:0 ""'],
    [],
    [],
    [
      ...["d/ 755 0:0", "d/big 640 0:0 5000 bytes", "d/e/ 3770 0:0", "d/e/g 0 0:0 removed"],
      ...['d/e/one 6755 7:8 "1\\n"', "d/f 0 0:0 removed"],
      ...[
        "d/four 640 0:0 pipe",
        "d/new/ 750 0:0",
        "d/three 777 9:9 -> ../nowhere",
        "d/two 6755 7:8 = d/e/one",
        "same/ 700 0:0",
      ],
    ],
  ]);
  expect(history.slice(-3)[0]).toBe("RUN /bin/sh -c true # buildkit");
  expect(await slipway.text("run", "--rm", "x", "sh", "-c", "ls /d /d/e /same | xargs; stat -c %h /d/two")).toBe(
    "/d: big e four new three two /d/e: one /same: x\n2",
  );
});
