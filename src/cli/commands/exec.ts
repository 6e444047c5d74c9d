import { execContainer } from "../../engine/containers/execContainer.ts";
import { type Command, flag, list, text } from "../Command.ts";
import { envEntry } from "../createFlags.ts";
import { readEntries } from "../envFile.ts";
import { checkTerminal, ownStreams } from "../streams.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
  summary: "Run a command in a running container",
  example: "slipway exec -it web sh",
  min: 2,
  stopAtPositional: true,
  flags: {
    interactive: { type: "bool", short: "i", help: "Keep standard input open" },
    tty: { type: "bool", short: "t", help: "Give the process a terminal" },
    detach: { type: "bool", short: "d", help: "Leave it in the background" },
    env: { type: "list", short: "e", help: "Environment variable, NAME=VALUE" },
    "env-file": { type: "list", help: "File of environment variables, a line each" },
    "detach-keys": { type: "string", help: "Keys that leave it running, ctrl-p,ctrl-q where not said" },
    user: { type: "string", short: "u", help: "User, name or number, with :group" },
    workdir: { type: "string", short: "w", help: "Working directory" },
    privileged: { type: "bool", help: "All capabilities" },
  },
  async run(call) {
    checkTerminal({ tty: flag(call, "tty"), interactive: flag(call, "interactive") });
    const [name = "", ...command] = call.positionals;
    const user = text(call, "user");
    const detachKeys = text(call, "detach-keys");
    const workdir = text(call, "workdir");
    const options = {
      command,
      env: [...list(call, "env-file").flatMap((path) => readEntries(path, "--env-file")), ...list(call, "env")].flatMap(
        envEntry,
      ),
      tty: flag(call, "tty"),
      interactive: flag(call, "interactive"),
      privileged: flag(call, "privileged"),
      detach: flag(call, "detach"),
      ...(detachKeys === undefined ? {} : { detachKeys }),
      ...(user === undefined ? {} : { user }),
      ...(workdir === undefined ? {} : { workdir }),
    };
    return execContainer(await call.engine(), name, options, ownStreams(options));
  },
};
