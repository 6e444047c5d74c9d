import type { Bench, Scenario } from "../Bench.ts";
import type { Contender } from "../measure.ts";

/** By it a peer's containers are found again, whose store is not ours to delete. */
const LABEL = "slipway-bench";
/** Docker's peer has no network `bridge` here: this one is made for it. */
const NETWORK = "slipway-bench";

const bridge: Scenario = {
  name: "run-bridge",
  title: "`run --rm busybox true` on a bridge network",
  contenders(bench) {
    const network = { slipway: "bridge", docker: NETWORK, podman: "podman" };
    const { peers, may } = bench;
    if (peers !== undefined) may([...peers.docker, "network", "create", NETWORK]);
    return tools(bench, (tool) => ({
      args: ["run", "--rm", "--network", network[tool], "busybox", "true"],
      clean: (command) => (tool === "docker" ? may([...command, "network", "rm", NETWORK]) : undefined),
    }));
  },
};

const exec: Scenario = {
  name: "exec",
  title: "`exec CONTAINER true`",
  contenders: (bench) =>
    tools(bench, () => ({
      args: ["exec", LABEL, "true"],
      begin: (command, env) =>
        bench.must([...command, "run", "-d", "--name", LABEL, ...detached, "busybox", "sleep", "86400"], env),
    })),
};

/** A hundred of them, one after the other or ten at a time. Those of the run before go first, which is not counted. */
function hundred(name: string, title: string, atOnce: number): Scenario {
  return {
    name,
    title,
    runs: 1,
    contenders: (bench) =>
      tools(bench, (tool) => ({
        args: ["run", "-d", ...detached, "busybox", "sleep", "86400"],
        times: { count: 100, atOnce },
        prepare: (command, env) => removeAll(bench, command, env, tool),
      })),
  };
}

const list: Scenario = {
  name: "ps",
  title: "`ps -a` of 500 containers",
  contenders: (bench) =>
    tools(bench, (tool) => ({
      args: ["ps", "-a"],
      begin(command, env) {
        removeAll(bench, command, env, tool);
        bench.must(repeated([...command, "create", ...detached, "busybox", "true"], { count: 500, atOnce: 4 }), env);
      },
    })),
};

const detached = ["--label", LABEL, "--network", "host"];

interface Doing {
  args: string[];
  /** The command so often. */
  times?: Times;
  /** Once, before all runs. */
  begin?(command: string[], env: Record<string, string>): void;
  /** Before each run. */
  prepare?(command: string[], env: Record<string, string>): void;
  /** After all runs; its containers go anyway. */
  clean?(command: string[]): void;
}

type Tool = "slipway" | "docker" | "podman";

function tools(bench: Bench, doing: (tool: Tool) => Doing): Contender[] {
  const { slipway, peers } = bench;
  const contender = (tool: Tool, command: string[], env: Record<string, string>): Contender => {
    const { args, times, begin, prepare, clean } = doing(tool);
    let begun = false;
    return {
      name: tool,
      command: times === undefined ? [...command, ...args] : repeated([...command, ...args], times),
      env,
      prepare() {
        if (!begun) begin?.(command, env);
        begun = true;
        prepare?.(command, env);
      },
      clean() {
        removeAll(bench, command, env, tool);
        clean?.(command);
      },
    };
  };
  const own = contender("slipway", slipway.command, slipway.env);
  if (peers === undefined) return [own];
  return [own, contender("docker", peers.docker, {}), contender("podman", peers.podman, {})];
}

function removeAll({ may }: Bench, command: string[], env: Record<string, string>, tool: Tool): void {
  const quick = tool === "podman" ? "-t 0" : "";
  const script = `"$@" ps -aq --filter label=${LABEL} | xargs -r -n 100 "$@" rm -f ${quick}`;
  may(["sh", "-c", script, "sh", ...command], env);
}

interface Times {
  count: number;
  atOnce: number;
}

function repeated(command: string[], { count, atOnce }: Times): string[] {
  return ["sh", "-c", `seq ${count} | xargs -I{} -P ${atOnce} "$@"`, "sh", ...command];
}

/** Many containers, and what is done with one that runs. */
export const containerScenarios = [
  bridge,
  exec,
  hundred("hundred", "100 containers started, one after the other", 1),
  hundred("hundred-at-once", "100 containers started, 10 at a time", 10),
  list,
];
