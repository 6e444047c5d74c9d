import { readFileSync } from "node:fs";

/** The text of a file that may not be there, not be for us, or go at this moment (as those of /proc and of control groups do). */
export function readOr(path: string, otherwise = ""): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return otherwise;
  }
}
