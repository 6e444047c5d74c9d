import { formatFullPlatform } from "../oci/platform.ts";
import type { Graph, Step, StepID } from "./graph.ts";

/**
 * Graphs of one Dockerfile for several platforms as one: a step that several of them have, on the same inputs, is in it once, with the name that
 * the first one gives it. Steps of the first graph keep their IDs. Returns the graphs with the IDs that their steps have in `steps`, and those.
 */
export function mergeGraphs(graphs: readonly Graph[]): { steps: Step[]; graphs: Graph[] } {
  const steps: Step[] = [];
  const byDefinition = new Map<string, StepID>();
  const merged = graphs.map((graph, at) => {
    const ids = new Map<StepID, StepID>();
    const idOf = (id: StepID | undefined): StepID | undefined => (id === undefined ? undefined : ids.get(id));
    const suffix = at === 0 ? "" : `-${formatFullPlatform(graph.target.platform).replaceAll(/[^A-Za-z0-9]+/g, "_")}`;
    const own = graph.steps.map((given) => {
      const step = withInputs(given, idOf);
      const definition = definitionOf(step);
      const known = byDefinition.get(definition);
      const id = known ?? `${given.id}${suffix}`;
      ids.set(given.id, id);
      const taken = { ...step, id };
      if (known !== undefined) return taken;
      byDefinition.set(definition, id);
      steps.push(taken);
      return taken;
    });
    const { target } = graph;
    return {
      ...graph,
      steps: own,
      target: {
        ...target,
        step: idOf(target.step),
        history: target.history.map((entry) =>
          entry.layer === undefined ? entry : { ...entry, layer: idOf(entry.layer) as StepID },
        ),
      },
    };
  });
  return { steps, graphs: merged };
}

/** The steps that it uses come before it, so that they have their IDs already. */
function withInputs(step: Step, idOf: (id: StepID | undefined) => StepID | undefined): Step {
  switch (step.kind) {
    case "copy":
      return {
        ...step,
        base: idOf(step.base),
        items: step.items.map((item) => (item.type === "path" ? { ...item, from: idOf(item.from) } : item)),
      };
    case "run":
      return {
        ...step,
        base: idOf(step.base),
        mounts: step.mounts.map((mount) => ("from" in mount ? { ...mount, from: idOf(mount.from) } : mount)),
      };
    case "mkdir":
      return { ...step, base: idOf(step.base) };
    default:
      return step;
  }
}

/** All that decides what comes out. */
function definitionOf({ id: _, name: __, range: ___, ...definition }: Step): string {
  return JSON.stringify(definition, (_key, value: unknown) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}
