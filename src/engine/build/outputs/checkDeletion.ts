import { realpathSync } from "node:fs";
import { dirname, join, resolve, sep } from "node:path";
import { SlipwayError } from "../../../oci/SlipwayError.ts";
import type { OutputSpec } from "./OutputSpec.ts";

/**
 * buildx's rule: `mode=delete` needs no further word where it empties a directory below the working directory, links followed. Elsewhere it
 * has to be allowed by `--allow buildx.local.delete`. @throws SlipwayError `NOT_ALLOWED`
 */
export function checkDeletion(output: OutputSpec, workingDirectory: string): void {
  if (output.type !== "local" || output.mode !== "delete") return;
  const target = realPath(resolve(workingDirectory, output.dest));
  if (target.startsWith(`${realPath(workingDirectory)}${sep}`)) return;
  throw new SlipwayError(
    "NOT_ALLOWED",
    `mode=delete may remove files of ${target}, which is not below this directory`,
    {
      hint: "If that is meant, build with --allow buildx.local.delete",
    },
  );
}

/** Of what is there of the path; the rest is as written. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT" || dirname(path) === path) throw error;
    return join(realPath(dirname(path)), path.slice(dirname(path).length));
  }
}
