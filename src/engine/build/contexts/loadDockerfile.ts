import { existsSync, readFileSync } from "node:fs";
import { join, posix, resolve } from "node:path";
import type { Linux } from "../../../linux/Linux.ts";
import { SlipwayError } from "../../../oci/SlipwayError.ts";
import type { FileTree } from "../../../solve/tree/FileTree.ts";

export interface DockerfileSource {
  text: string;
  /** Shown in messages. */
  name: string;
  /** Absolute; undefined where it is no file of this machine. */
  path: string | undefined;
}

const HINT = "Give its path with -f, or write a file named Dockerfile into the build context.";
/** BuildKit's bound of what it reads as a Dockerfile. */
const MAX_BYTES = 16 * 1024 * 1024;

/** @throws SlipwayError `DOCKERFILE_NOT_FOUND`, `DOCKERFILE_EMPTY` */
export function readDockerfile(context: string, file: string | undefined): DockerfileSource {
  const path = file === undefined ? join(resolve(context), defaultName(context)) : resolve(file);
  try {
    return checkedDockerfile({ text: readFileSync(path, "utf8"), name: file ?? "Dockerfile", path });
  } catch (error) {
    if (error instanceof SlipwayError) throw error;
    throw new SlipwayError(
      "DOCKERFILE_NOT_FOUND",
      `cannot read the Dockerfile ${path}: ${(error as { code?: string }).code ?? error}`,
      { hint: HINT, cause: error },
    );
  }
}

/** The Dockerfile of a context that was fetched. @throws SlipwayError `DOCKERFILE_NOT_FOUND`, `DOCKERFILE_EMPTY` */
export function readDockerfileOf(linux: Linux, tree: FileTree, file: string): DockerfileSource {
  const node =
    tree.lookup(file, true) ??
    (posix.basename(file) === "Dockerfile"
      ? tree.lookup(posix.join(posix.dirname(file), "dockerfile"), true)
      : undefined);
  if (node === undefined)
    throw new SlipwayError("DOCKERFILE_NOT_FOUND", `the build context holds no file ${JSON.stringify(file)}`, {
      hint: "Give its path in the context with -f.",
    });
  if (node.stat.size > MAX_BYTES)
    throw new SlipwayError("DOCKERFILE_NOT_FOUND", `${file} has ${node.stat.size} bytes: that is no Dockerfile`);
  const fd = tree.open(node);
  try {
    const bytes = new Uint8Array(node.stat.size);
    let length = 0;
    for (let n = linux.read(fd, bytes); n > 0 && length < bytes.length; n = linux.read(fd, bytes.subarray(length)))
      length += n;
    return checkedDockerfile({ text: Buffer.from(bytes.subarray(0, length)).toString(), name: file, path: undefined });
  } finally {
    linux.close(fd);
  }
}

export function checkedDockerfile(source: DockerfileSource): DockerfileSource {
  if (source.text.trim() !== "") return source;
  throw new SlipwayError("DOCKERFILE_EMPTY", `the Dockerfile ${source.path ?? "on standard input"} is empty`, {
    hint: "A Dockerfile begins with FROM and the name of a base image.",
  });
}

/** `dockerfile` counts where there is no `Dockerfile` (moby#10858). */
function defaultName(context: string): string {
  const directory = resolve(context);
  return !existsSync(join(directory, "Dockerfile")) && existsSync(join(directory, "dockerfile"))
    ? "dockerfile"
    : "Dockerfile";
}
