import { existsSync, writeFileSync } from "node:fs";
import { familiarName } from "../../oci/reference.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { worksByChroot } from "../../runtime/isolation.ts";
import { type Command, flag, text } from "../Command.ts";
import { createFlags, createOptions } from "../createFlags.ts";
import { ownStreams } from "../streams.ts";
import { isTerminal } from "../isTerminal.ts";

export const command: Command = {
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  summary: "Create a container from an image and run it",
  example: "slipway run -it --rm alpine sh",
  min: 1,
  stopAtPositional: true,
  failure: 125,
  flags: {
    ...createFlags,
    detach: { type: "bool", short: "d", help: "Run in the background and print the container ID" },
    "sig-proxy": { type: "bool", help: "Signals to this process go to the container (default true)" },
  },
  async run(call) {
    const options = createOptions(call);
    const detached = flag(call, "detach");
    if (options.tty && options.interactive && !detached && !isTerminal(0)) {
      throw new SlipwayError("NO_TERMINAL", "the input device is not a TTY", {
        hint: "Leave out -t when standard input is no terminal.",
        exitCode: 125,
      });
    }
    const cidfile = text(call, "cidfile");
    if (cidfile !== undefined && existsSync(cidfile)) {
      throw new SlipwayError("USAGE", `the container ID file ${cidfile} is there already`, { exitCode: 125 });
    }
    const engine = await pulling(call, flag(call, "quiet"));
    if (worksByChroot(engine.config.isolation)) {
      const { runByChroot } = await import("../../engine/containers/runByChroot.ts");
      return runByChroot(engine, options, detached ? undefined : ownStreams(options));
    }
    const { runContainer } = await import("../../engine/containers/runContainer.ts");
    const { container, exitCode } = await runContainer(engine, options, detached ? undefined : ownStreams(options), {
      sigProxy: call.values["sig-proxy"] !== false,
      attach: options.attach,
      created({ id }) {
        if (cidfile !== undefined) writeFileSync(cidfile, id);
      },
    });
    if (detached) call.out(`${container.id}\n`);
    return exitCode ?? 0;
  },
};

/** An engine that shows a pull, which only a missing image makes it do, on standard error. */
async function pulling(
  call: import("../Command.ts").Call,
  quiet: boolean,
): Promise<import("../../engine/Engine.ts").Engine> {
  let progress: { event(event: import("../../engine/events.ts").EngineEvent): void } | undefined;
  if (quiet) return await call.engine();
  return await call.engine((event) => {
    if (event.type === "pull.start") {
      call.err(`Unable to find image '${familiarName(event.reference)}' locally\n`);
      const { createPullProgress } = require("../render/pullProgress.ts") as typeof import("../render/pullProgress.ts");
      const { terminalSize } = require("../render/terminalSize.ts") as typeof import("../render/terminalSize.ts");
      progress = createPullProgress({
        write: call.err,
        ...(isTerminal(2) ? { size: terminalSize(2, call.linux()) } : {}),
      });
    }
    progress?.event(event);
    if (event.type === "pull.done") call.err(`Status: Downloaded newer image for ${event.reference}\n`);
  });
}
