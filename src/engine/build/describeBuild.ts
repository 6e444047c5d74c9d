import { parseDockerfile } from "../../dockerfile/parseDockerfile.ts";
import { createIgnoreMatcher, ignoreLines } from "../../dockerfile/ignore.ts";
import { AT_FDCWD, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, S_IFDIR } from "../../linux/constants.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { listTargets, type Outline, outlineBuild, type Target } from "../../plan/outline.ts";
import type { Lease } from "../../store/Store.ts";
import { createConfigResolver } from "./baseImages.ts";
import { buildViolations, type Violation } from "./buildViolations.ts";
import { type BuildContexts, openContexts } from "./contexts/buildContexts.ts";
import type { BuildOptions, Engine } from "../Engine.ts";
import { planOptions } from "./planOptions.ts";
import { createVertices } from "./vertices.ts";

export type { Outline, Target, Violation };

/**
 * `build --check`: the Dockerfile held against BuildKit's build checks, all its stages, without building. Of base images counts what the
 * store knows. @throws SlipwayError where the Dockerfile cannot be read, and `CHECK_FAILED` where its check directive makes violations errors
 */
export function checkBuild(
  engine: Engine,
  options: BuildOptions,
): Promise<{ source: string; violations: Violation[] }> {
  return withContexts(engine, options, async (contexts) => {
    const { text, name } = contexts.dockerfile;
    const violations = buildViolations(engine, options, {
      dockerfile: text,
      file: name,
      ignorePatterns: contexts.ignore.patterns,
      allStages: true,
      named: contexts.named,
    });
    return { source: text, violations };
  });
}

/** `build --call=outline`: what the target takes. Of base images only the configs are fetched. */
export function outline(engine: Engine, options: BuildOptions): Promise<{ source: string; outline: Outline }> {
  return withContexts(engine, options, async (contexts, lease) => {
    const { text, name } = contexts.dockerfile;
    const found = await outlineBuild(
      parseDockerfile(text, { file: name }),
      planOptions(options, contexts),
      createConfigResolver(engine, options, { lease, layouts: contexts.layouts }),
    );
    return { source: text, outline: found };
  });
}

/** `build --call=targets`. */
export function targets(engine: Engine, options: BuildOptions): Promise<{ source: string; targets: Target[] }> {
  return withContexts(engine, options, async (contexts) => {
    const { text, name } = contexts.dockerfile;
    return { source: text, targets: listTargets(parseDockerfile(text, { file: name })) };
  });
}

/** One path of a context. A directory that is left out wholly stands for all that is in it. */
export interface ContextEntry {
  /** With `/` at the end of a directory. */
  path: string;
  kept: boolean;
  /** The ignore file's line that decided: `.dockerignore`, 3, `!docs/*.md`. Absent where none did. */
  by?: { file: string; line: number; pattern: string };
}

/**
 * `build --print-context`: what of a directory is in the build context, and which line kept or dropped it; sorted by name, directories before
 * what is in them. @throws SlipwayError `INVALID_CONTEXT` for a context that is no directory: ignore files do not count in those
 */
export function listContext(engine: Engine, options: BuildOptions): Promise<ContextEntry[]> {
  return withContexts(engine, options, async ({ ignore, directory: root }) => {
    if (root === undefined)
      throw new SlipwayError(
        "INVALID_CONTEXT",
        `${options.context} is not a directory: all of it is in the build context`,
        {
          hint: "Ignore files count for directories of this machine only.",
        },
      );
    const { linux } = engine.store;
    const matcher = createIgnoreMatcher(ignore.patterns);
    const lines = ignoreLines(ignore.text);
    const entries: ContextEntry[] = [];
    const walk = (dirfd: number, name: string, base: string, state: Uint8Array): void => {
      const fd = linux.openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      try {
        for (const entry of linux.readdir(fd).toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
          const path = base === "" ? entry.name : `${base}/${entry.name}`;
          const verdict = matcher.visit(state, path);
          const directory = entry.type === S_IFDIR;
          const by =
            verdict.by < 0
              ? {}
              : {
                  by: {
                    file: ignore.name ?? "",
                    line: lines[verdict.by] ?? 0,
                    pattern: ignore.patterns[verdict.by] ?? "",
                  },
                };
          entries.push({ path: directory ? `${path}/` : path, kept: verdict.keep, ...by });
          if (directory && verdict.descend) walk(fd, entry.name, path, verdict.state);
        }
      } finally {
        linux.close(fd);
      }
    };
    walk(AT_FDCWD, root, "", matcher.root());
    return entries;
  });
}

async function withContexts<T>(
  engine: Engine,
  options: BuildOptions,
  work: (contexts: BuildContexts, lease: Lease) => Promise<T>,
): Promise<T> {
  const lease = engine.store.lease("describe build");
  try {
    const contexts = await openContexts(engine, options, { lease, vertices: createVertices(engine.emit) });
    return await work(contexts, lease);
  } finally {
    lease.release();
  }
}
