import type { NamedContext, PlanOptions } from "./PlanOptions.ts";

/** The build context that stands for a stage or image of this name; `alpine`, `alpine:latest` and `docker.io/library/alpine` are one. */
export function findNamedContext(options: PlanOptions, name: string): NamedContext | undefined {
  const contexts = options.namedContexts;
  const wanted = familiar(name);
  if (contexts === undefined || wanted === "scratch" || wanted === "context") return undefined;
  const key = Object.keys(contexts).find((candidate) => familiar(candidate) === wanted);
  return key === undefined ? undefined : contexts[key];
}

function familiar(name: string): string {
  return name
    .toLowerCase()
    .replace(/^docker\.io\//, "")
    .replace(/^library\//, "")
    .replace(/:latest$/, "");
}
