import type { Bench, Scenario } from "../Bench.ts";

const tools = ["docker", "buildah", "podman"] as const;

const pull: Scenario = {
  name: "pull",
  title: "pull of 500 MB, 20,000 files, 6 layers",
  big: true,
  contenders: (bench) =>
    pulls(bench).map(({ remove, ...contender }) => ({
      ...contender,
      prepare: remove,
    })),
};

const pullAgain: Scenario = {
  name: "pull-again",
  title: "the same pull, nothing new",
  big: true,
  contenders: (bench) => pulls(bench).map(({ remove: _, ...contender }) => contender),
};

/** Each tool sends what it has pulled, to a registry that has nothing. */
const push: Scenario = {
  name: "push",
  title: "push of it",
  big: true,
  contenders(bench) {
    const { slipway, peers, emptyRegistry, must } = bench;
    const to = `${emptyRegistry.host}/big:latest`;
    for (const { command, env } of pulls(bench)) must(command, env);
    const own = { name: "slipway", tool: slipway.command, env: slipway.env, flags: [] as string[] };
    const others = tools.map((name) => ({ name, tool: peers?.[name] ?? [], env: {}, flags: tlsFlags(name) }));
    return [own, ...(peers === undefined ? [] : others)].map(({ name, tool, env, flags }) => {
      must([...tool, "tag", bigName(bench), to], env);
      return { name, command: [...tool, "push", ...flags, to], env, prepare: emptyRegistry.empty };
    });
  },
};

const imageCopy: Scenario = {
  name: "image-copy",
  title: "copy of it from registry to registry",
  big: true,
  contenders(bench) {
    const { slipway, peers, emptyRegistry } = bench;
    const names = [`docker://${bigName(bench)}`, `docker://${emptyRegistry.host}/big:latest`];
    const prepare = emptyRegistry.empty;
    const skopeo = ["skopeo", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", ...names];
    return [
      { name: "slipway", command: [...slipway.command, "image", "copy", ...names], env: slipway.env, prepare },
      ...(peers === undefined ? [] : [{ name: "skopeo", command: [...peers.prefix, ...skopeo], prepare }]),
    ];
  },
};

function bigName({ registry }: Bench): string {
  return `${registry}/big:latest`;
}

function tlsFlags(tool: (typeof tools)[number]): string[] {
  return tool === "docker" ? [] : ["--tls-verify=false"];
}

function pulls(bench: Bench) {
  const { slipway, peers, may } = bench;
  const name = bigName(bench);
  const own = {
    name: "slipway",
    command: [...slipway.command, "pull", name],
    env: slipway.env,
    remove: () => may([...slipway.command, "rmi", "-f", name], slipway.env),
  };
  if (peers === undefined) return [own];
  return [
    own,
    ...tools.map((tool) => ({
      name: tool,
      command: [...peers[tool], "pull", ...tlsFlags(tool), name],
      env: {},
      remove: () => may([...peers[tool], "rmi", "-f", name]),
    })),
  ];
}

/** Images on their way between a registry on loopback and a store. */
export const registryScenarios = [pull, pullAgain, push, imageCopy];
