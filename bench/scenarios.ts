import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { busyboxImage } from "../scripts/lib/busyboxImage.mjs";
import type { Bench, Scenario } from "./Bench.ts";
import type { Contender } from "./measure.ts";

/** Every tool builds with the host's network: peers here have no bridge, and slipway has none yet. */
const buildFlags = {
  docker: ["build", "--network", "host"],
  buildah: ["bud", "--layers", "--network", "host", "--isolation", "oci"],
  podman: ["build", "--layers", "--network", "host", "--isolation", "oci"],
};

function builds(bench: Bench, tag: string, flags: string[]): Contender[] {
  const rest = ["-t", tag, ...flags, bench.folder];
  const { slipway, peers } = bench;
  return [
    { name: "slipway", command: [...slipway.command, "build", "--network", "host", ...rest], env: slipway.env },
    ...(peers === undefined
      ? []
      : (["docker", "buildah", "podman"] as const).map((name) => ({
          name,
          command: [...peers[name], ...buildFlags[name], ...rest],
        }))),
  ];
}

const noop: Scenario = {
  name: "noop",
  title: "build of hello, nothing to do",
  contenders(bench) {
    writeFileSync(join(bench.folder, "Dockerfile"), 'FROM busybox\nCMD ["echo", "hello"]\n');
    return builds(bench, "bench-hello", []);
  },
};

const steps: Scenario = {
  name: "steps",
  title: "20 RUN steps, cold",
  contenders(bench) {
    const lines = Array.from({ length: 20 }, (_, step) => `RUN echo ${step} > /file${step}`);
    writeFileSync(join(bench.folder, "Dockerfile"), ["FROM busybox", ...lines, ""].join("\n"));
    return builds(bench, "bench-steps", ["--no-cache"]);
  },
};

const run: Scenario = {
  name: "run",
  title: "`run --rm busybox true`",
  contenders(bench) {
    const args = ["run", "--rm", "--network", "host", "busybox", "true"];
    const { slipway, peers } = bench;
    return [
      { name: "slipway", command: [...slipway.command, ...args], env: slipway.env },
      ...(peers === undefined
        ? []
        : (["docker", "podman"] as const).map((name) => ({ name, command: [...peers[name], ...args] }))),
      bareRuntime(bench),
    ];
  },
};

/** The OCI runtime alone, on an unpacked root file system. */
function bareRuntime({ folder, peers, must }: Bench): Contender {
  const root = join(folder, "rootfs");
  if (!existsSync(root)) {
    mkdirSync(root);
    writeFileSync(join(folder, "layer.tar"), busyboxImage().layers[0]!);
    must(["tar", "-xf", join(folder, "layer.tar"), "-C", root]);
  }
  const crun = [...(peers?.prefix ?? []), "crun"];
  const spec = {
    ociVersion: "1.0.2",
    process: { terminal: false, user: { uid: 0, gid: 0 }, args: ["true"], env: ["PATH=/bin:/usr/bin"], cwd: "/" },
    root: { path: "rootfs" },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755", "size=65536k"] },
    ],
    linux: { namespaces: ["pid", "ipc", "uts", "mount"].map((type) => ({ type })) },
  };
  writeFileSync(join(folder, "config.json"), JSON.stringify(spec));
  return { name: "crun", command: [...crun, "run", "--bundle", folder, `bench-${process.pid}`] };
}

const pull: Scenario = {
  name: "pull",
  title: "pull of 500 MB, 20,000 files",
  contenders({ slipway, peers, registry, may }) {
    const name = `${registry}/big:latest`;
    return [
      {
        name: "slipway",
        command: [...slipway.command, "pull", name],
        env: slipway.env,
        prepare: () => may([...slipway.command, "rmi", "-f", name], slipway.env),
      },
      ...(peers === undefined
        ? []
        : (["docker", "buildah", "podman"] as const).map((tool) => ({
            name: tool,
            command: [...peers[tool], "pull", ...(tool === "docker" ? [] : ["--tls-verify=false"]), name],
            prepare: () => may([...peers[tool], "rmi", "-f", name]),
          }))),
    ];
  },
};

export const scenarios: readonly Scenario[] = [noop, run, steps, pull];
