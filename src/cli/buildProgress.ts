import { SlipwayError } from "../oci/SlipwayError.ts";
import { type Call, flag, text } from "./Command.ts";
import { printable } from "./render/lineSplitter.ts";
import type { Progress } from "./render/plainProgress.ts";
import { isTerminal } from "./isTerminal.ts";

/** What `--progress`, `--quiet` and $BUILDKIT_PROGRESS ask for. Nothing is drawn any more once a shell has had the terminal. */
export async function buildProgress(call: Call): Promise<Progress> {
  const progress = await chosen(call);
  let finished = false;
  const finish = (): void => {
    if (!finished) progress.finish();
    finished = true;
  };
  return {
    event(event) {
      if (event.type === "step.shell") {
        finish();
        for (const line of event.message.split("\n")) if (line !== "") call.err(`${printable(line)}\n`);
        if (event.open)
          call.err('What you change is thrown away. Leave with "exit" or Ctrl-D; the build then fails.\n');
      } else if (!finished) progress.event(event);
    },
    finish,
  };
}

async function chosen(call: Call): Promise<Progress> {
  const wish = flag(call, "quiet") ? "quiet" : (text(call, "progress") ?? process.env.BUILDKIT_PROGRESS ?? "auto");
  const isWatched = isTerminal(2, call.linux());
  if (wish === "quiet" || wish === "none") return { event: () => {}, finish: () => {} };
  if (wish === "rawjson")
    return { event: (event) => call.err(`${JSON.stringify(event, bytesAsText)}\n`), finish: () => {} };
  if (wish === "tty" || (wish === "auto" && isWatched)) {
    const [{ createTtyProgress }, { terminalSize }] = await Promise.all([
      import("./render/ttyProgress.ts"),
      import("./render/terminalSize.ts"),
    ]);
    return createTtyProgress({
      write: call.err,
      size: terminalSize(2, call.linux()),
      color: (process.env.NO_COLOR ?? "") === "",
      explain: flag(call, "explain"),
    });
  }
  if (wish !== "plain" && wish !== "auto") {
    throw new SlipwayError("USAGE", `--progress ${wish} is not known`, {
      hint: "It takes auto, plain, tty, quiet or rawjson.",
    });
  }
  const { createPlainProgress } = await import("./render/plainProgress.ts");
  return createPlainProgress(call.err, { explain: flag(call, "explain") });
}

function bytesAsText(_: string, value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value;
}
