import { readFileSync } from "node:fs";
import { SlipwayError } from "../oci/SlipwayError.ts";

/**
 * What a runtime's log says about a container that did not start, as an error in Docker's words with its exit code: 127 where the
 * program is not there, 126 where it cannot be executed, `otherwise` for everything else. Undefined where the log holds no error.
 */
export function runtimeFailure(logPath: string, args: string[], otherwise = 125): SlipwayError | undefined {
  let text: string;
  try {
    text = readFileSync(logPath, "utf8");
  } catch {
    return undefined; // never written: no failure
  }
  const message = runtimeMessage(text);
  if (message === undefined) return undefined;
  if (
    /executable file .*not found|(exec|stat).*no such file or directory|open executable.*No such file/i.test(message)
  ) {
    return executableNotFound(args);
  }
  if (
    /permission denied|operation not permitted|exec format error|is a directory/i.test(message) &&
    /exec|executable/i.test(message)
  ) {
    const reason = /permission denied|operation not permitted/i.test(message)
      ? "permission denied"
      : /exec format/i.test(message)
        ? "exec format error"
        : "is a directory";
    return notExecutable(args, reason);
  }
  return new SlipwayError("RUNTIME_FAILED", `the container could not be started: ${message}`, { exitCode: otherwise });
}

export function executableNotFound(args: readonly string[]): SlipwayError {
  const reason = args[0]?.includes("/") === true ? "no such file or directory" : "executable file not found in $PATH";
  return new SlipwayError("EXECUTABLE_NOT_FOUND", `exec: ${JSON.stringify(args[0] ?? "")}: ${reason}`, {
    hint: "The program has to be in the image; for a script, so has the interpreter that its first line names.",
    exitCode: 127,
  });
}

export function notExecutable(
  args: readonly string[],
  reason: "permission denied" | "exec format error" | "is a directory",
): SlipwayError {
  return new SlipwayError("NOT_EXECUTABLE", `exec: ${JSON.stringify(args[0] ?? "")}: ${reason}`, {
    ...(reason === "exec format error" ? { hint: "The program may be built for another architecture." } : {}),
    exitCode: 126,
  });
}

/** The last error in a log of JSON lines or of plain text (crun wrote plain lines before 1.0). */
export function runtimeMessage(text: string): string | undefined {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  let last: string | undefined;
  for (const line of lines) {
    try {
      const entry = JSON.parse(line) as { level?: string; msg?: string };
      if (entry.level !== undefined && !/^(error|fatal)$/.test(entry.level)) continue;
      if (entry.msg !== undefined) last = entry.msg;
    } catch {
      last = line;
    }
  }
  return last?.trim();
}
