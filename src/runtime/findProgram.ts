import { accessSync, constants, statSync } from "node:fs";

const SEARCHED = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** Absolute path of an executable, by name from $PATH and the usual places, or by path. */
export function findProgram(name: string): string | undefined {
  const places = name.includes("/")
    ? [""]
    : [...(process.env.PATH ?? "").split(":"), ...SEARCHED].filter((dir) => dir !== "");
  for (const place of places) {
    const path = place === "" ? name : `${place}/${name}`;
    try {
      accessSync(path, constants.X_OK);
      if (statSync(path).isFile()) return path;
    } catch {
      // not in this one
    }
  }
  return undefined;
}
