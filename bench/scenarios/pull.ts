import type { Scenario } from "../Bench.ts";

export const pull: Scenario = {
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
