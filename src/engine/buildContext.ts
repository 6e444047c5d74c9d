import { readFileSync, realpathSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { createIgnoreMatcher, parseIgnoreFile } from "../dockerfile/ignore.ts";
import { AT_FDCWD, O_DIRECTORY } from "../linux/constants.ts";
import { isErrno } from "../linux/LinuxError.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { createFileTree, type FileTree } from "../solve/tree/FileTree.ts";
import { openStatIndex, type StatIndex } from "../solve/tree/statIndex.ts";
import type { BuildOptions, Engine } from "./Engine.ts";
import type { DockerfileSource } from "./loadDockerfile.ts";
import type { Vertices } from "./vertices.ts";

export interface ContextOpener {
  /** By the name that the plan uses; "context" is the main one. */
  open(name: string): Promise<FileTree>;
  /** Keeps what was learned about the files for the next build. */
  save(): void;
  /** Patterns of the build's ignore file, read once. */
  ignorePatterns(): string[];
  /** Names this build among others of the same store. */
  project: string;
}

export function createContextOpener(
  engine: Engine,
  options: BuildOptions,
  dockerfile: DockerfileSource,
  vertices: Vertices,
): ContextOpener {
  const { store } = engine;
  const indexes: StatIndex[] = [];
  const directory = contextDirectory(options.context);
  let patterns: string[] | undefined;
  const ignorePatterns = (): string[] => {
    patterns ??= loadIgnoreFile(directory, dockerfile.path);
    return patterns;
  };

  return {
    ignorePatterns,
    project: `${directory}\0${dockerfile.path ?? "-"}`,
    async open(name) {
      if (name !== "context") throw new Error(`no build context is named ${name}`);
      const patterns = await vertices.internal("[internal] load .dockerignore", async () => ignorePatterns());
      return vertices.internal("[internal] load build context", async () => {
        const key = new Bun.SHA256().update(directory).digest("hex").slice(0, 32);
        const index = openStatIndex(join(store.root, "contexts", key));
        indexes.push(index);
        const root = store.linux.openat(AT_FDCWD, directory, O_DIRECTORY);
        return createFileTree(store.linux, root, {
          rootOwned: true,
          index,
          ...(patterns.length === 0 ? {} : { filter: createIgnoreMatcher(patterns) }),
        });
      });
    },
    save() {
      for (const index of indexes) index.save();
    },
  };
}

/** @throws SlipwayError `CONTEXT_NOT_FOUND` */
function contextDirectory(path: string): string {
  try {
    const real = realpathSync(resolve(path));
    if (statSync(real).isDirectory()) return real;
  } catch (error) {
    if (!isErrno(error, "ENOENT", "ENOTDIR", "EACCES")) throw error;
  }
  throw new SlipwayError(
    "CONTEXT_NOT_FOUND",
    `the build context ${JSON.stringify(path)} is not a directory that can be read`,
    {
      hint: "The last argument of build is the directory whose files the Dockerfile may copy: often just `.`",
    },
  );
}

/** What the ignore file of a build leaves out: its patterns, in order. */
export function ignorePatterns(context: string, dockerfile: string | undefined): string[] {
  return loadIgnoreFile(contextDirectory(context), dockerfile);
}

/** `<Dockerfile>.dockerignore` beside the Dockerfile wins over `.dockerignore` of the context. */
function loadIgnoreFile(directory: string, dockerfile: string | undefined): string[] {
  const candidates = [join(directory, ".dockerignore")];
  if (dockerfile !== undefined) candidates.unshift(`${dockerfile}.dockerignore`);
  for (const path of candidates) {
    try {
      return parseIgnoreFile(readFileSync(path, "utf8"));
    } catch (error) {
      if (!isErrno(error, "ENOENT")) throw error;
    }
  }
  return [];
}
