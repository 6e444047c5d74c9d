import type { Dockerfile } from "../../dockerfile/instruction.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { globalArgsOf } from "../../plan/globalArgs.ts";
import type { GitStep, Graph, HttpStep, ResolveImage } from "../../plan/graph.ts";
import { planBuild } from "../../plan/plan.ts";
import type { PlanOptions } from "../../plan/PlanOptions.ts";

const ARG = "SOURCE_DATE_EPOCH";
/** An RFC 3339 time has four digits for the year. */
const LAST = 253_402_300_799;

export interface EpochSources {
  resolveImage: ResolveImage;
  /** When a context was made; "context" is the main one. Undefined where nobody knows. */
  contextTime(name: string): Promise<number | undefined>;
  /** When what an ADD fetches was made. */
  sourceTime(step: GitStep | HttpStep): Promise<number | undefined>;
}

/**
 * SOURCE_DATE_EPOCH of a build, as BuildKit reads it: the build argument, else the default of an ARG of that name before the first FROM. A
 * number of seconds, or what it is taken from: `context` (the main build context), a named context, or a stage that is FROM scratch with
 * one ADD of a repository or URL. Undefined where there is none, and where its source does not say its time, as directories do not.
 * `text` is what ARG gets; undefined where nothing was said.
 * @throws SlipwayError `INVALID_EPOCH`
 */
export async function sourceDateEpoch(
  dockerfile: Dockerfile,
  options: PlanOptions,
  sources: EpochSources,
): Promise<{ epoch?: number; text?: string }> {
  const text = spoken(dockerfile, options);
  if (text === undefined || text === "") return {};
  if (/^[0-9]+$/.test(text)) {
    const epoch = Number(text);
    if (epoch > LAST) throw invalid(text);
    return { epoch, text: String(epoch) };
  }
  const epoch = await timeOf(text, dockerfile, options, sources);
  return epoch === undefined ? { text: "" } : { epoch, text: String(epoch) };
}

function spoken(dockerfile: Dockerfile, options: PlanOptions): string | undefined {
  const given = options.buildArgs?.[ARG];
  if (given !== undefined) return given;
  if (!dockerfile.globalArgs.some(({ args }) => args.some(({ key }) => key === ARG))) return undefined;
  const buildArgs = new Map(
    Object.entries(options.buildArgs ?? {}).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  return globalArgsOf(dockerfile, options, buildArgs, options.targetPlatform ?? options.buildPlatform).get(ARG);
}

async function timeOf(
  name: string,
  dockerfile: Dockerfile,
  options: PlanOptions,
  sources: EpochSources,
): Promise<number | undefined> {
  if (name === "context" || options.namedContexts?.[name]?.type === "tree") return sources.contextTime(name);
  if (!dockerfile.stages.some((stage) => stage.name !== "" && stage.name === name.toLowerCase())) throw invalid(name);
  const graph = await planBuild(dockerfile, { ...options, target: name }, sources.resolveImage);
  return sources.sourceTime(onlySource(graph));
}

/** BuildKit's rule and words. */
function onlySource({ steps }: Graph): GitStep | HttpStep {
  if (steps.some((step) => step.kind === "image"))
    throw new SlipwayError("INVALID_EPOCH", `${ARG} stage must use FROM scratch`);
  const [source, copy, ...others] = steps;
  const fits =
    (source?.kind === "git" || source?.kind === "http") &&
    copy?.kind === "copy" &&
    copy.items.length === 1 &&
    others.length === 0;
  if (fits) return source;
  throw new SlipwayError("INVALID_EPOCH", `${ARG} stage does not meet source-only requirements`, {
    hint: "It is FROM scratch with one ADD of a git repository or a URL, and nothing else.",
  });
}

function invalid(text: string): SlipwayError {
  return new SlipwayError("INVALID_EPOCH", `invalid ${ARG}: ${text}`, {
    hint: "It is a number of seconds since 1970, the word context, or the name of a build context or stage.",
  });
}
