import { copyFromContainer, copyToContainer } from "../../engine/containers/copyFiles.ts";
import { parseCopySide } from "../../engine/containers/copyPaths.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { type Command, flag } from "../Command.ts";
import { humanSize } from "../render/humanSize.ts";
import { ownStreams } from "../streams.ts";
import { isTerminal } from "../isTerminal.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|- | SRC_PATH|- CONTAINER:DEST_PATH",
  summary: "Copy files between a container and here; - is a tar on standard input or output",
  example: "slipway cp web:/etc/nginx/nginx.conf .",
  min: 2,
  max: 2,
  flags: {
    archive: { type: "bool", short: "a", help: "Keep owners" },
    "follow-link": { type: "bool", short: "L", help: "Copy what a link leads to" },
    quiet: { type: "bool", short: "q", help: "Say nothing" },
  },
  async run(call) {
    const [from = "", to = ""] = call.positionals;
    const source = parseCopySide(from);
    const destination = parseCopySide(to);
    const options = { archive: flag(call, "archive"), followLink: flag(call, "follow-link") };
    if (source.container !== undefined && destination.container !== undefined)
      throw new SlipwayError("USAGE", "copying between containers is not supported");
    if (source.container === undefined && destination.container === undefined)
      throw new SlipwayError("USAGE", "must specify at least one container source");
    const named = (source.container === undefined ? destination : source) as { container: string; path: string };
    if (named.path === "") throw new SlipwayError("USAGE", `the path of container ${named.container} is empty`);
    const engine = await call.engine();
    let bytes: number;
    if (source.container !== undefined) {
      if (to === "-" && isTerminal(1)) throw new SlipwayError("USAGE", "refusing to write a tar to a terminal");
      const { stdout } = ownStreams({ interactive: false, tty: false });
      bytes = await copyFromContainer(engine, named, to === "-" ? stdout : destination.path, options);
    } else bytes = await copyToContainer(engine, from === "-" ? Bun.stdin.stream() : source.path, named, options);
    if (!flag(call, "quiet") && isTerminal(2) && to !== "-" && from !== "-")
      call.err(`Successfully copied ${humanSize(bytes)} to ${to}\n`);
    return 0;
  },
};
