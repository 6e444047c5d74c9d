import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { SlipwayError } from "../oci/SlipwayError.ts";
import type { BuildOptions } from "./Engine.ts";

export interface DockerfileSource {
  text: string;
  /** Shown in messages. */
  name: string;
  /** Absolute; undefined for a text that came by stdin. */
  path: string | undefined;
}

/** @throws SlipwayError `DOCKERFILE_NOT_FOUND`, `DOCKERFILE_EMPTY` */
export function loadDockerfile(options: BuildOptions): DockerfileSource {
  if (options.dockerfileText !== undefined)
    return checked({ text: options.dockerfileText, name: "Dockerfile", path: undefined });
  const path = options.file === undefined ? join(resolve(options.context), "Dockerfile") : resolve(options.file);
  try {
    return checked({ text: readFileSync(path, "utf8"), name: options.file ?? "Dockerfile", path });
  } catch (error) {
    if (error instanceof SlipwayError) throw error;
    throw new SlipwayError(
      "DOCKERFILE_NOT_FOUND",
      `cannot read the Dockerfile ${path}: ${(error as { code?: string }).code ?? error}`,
      {
        hint: "Give its path with -f, or write a file named Dockerfile into the build context.",
        cause: error,
      },
    );
  }
}

function checked(source: DockerfileSource): DockerfileSource {
  if (source.text.trim() !== "") return source;
  throw new SlipwayError("DOCKERFILE_EMPTY", `the Dockerfile ${source.path ?? "on standard input"} is empty`, {
    hint: "A Dockerfile begins with FROM and the name of a base image.",
  });
}
