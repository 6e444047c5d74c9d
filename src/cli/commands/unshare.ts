import { constants } from "node:os";
import { CLONE_NEWNS } from "../../linux/constants.ts";
import { createLinux } from "../../linux/createLinux.ts";
import { inUserNamespace, USER_VARIABLE } from "../../linux/userNamespace.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { Command } from "../Command.ts";

export const command: Command = {
  usage: "[COMMAND [ARG...]]",
  summary:
    "Run a command, or a shell, as root of the user's own namespace: there the store's files have the owners that containers see",
  example: "slipway unshare ls -ln ~/.local/share/slipway/volumes",
  min: 0,
  stopAtPositional: true,
  flags: {},
  async run(call) {
    if (process.env[USER_VARIABLE] === undefined || !inUserNamespace()) {
      throw new SlipwayError("NO_NAMESPACE", "root works in no namespace of users, so there is none to enter", {
        hint: "It is for users who are not root.",
      });
    }
    createLinux().unshare(CLONE_NEWNS); // mounts of one's own, gone with the shell
    const words = call.positionals.length > 0 ? call.positionals : [process.env.SHELL ?? "/bin/sh"];
    let child: Bun.Subprocess;
    try {
      child = Bun.spawn(words, { stdio: ["inherit", "inherit", "inherit"] });
    } catch (error) {
      throw new SlipwayError("EXECUTABLE_NOT_FOUND", `${words[0]} cannot be run: ${(error as Error).message}`, {
        exitCode: 127,
        cause: error,
      });
    }
    const code = await child.exited; // Ctrl-C is the shell's: it is not passed on, and does not end us
    return child.signalCode === null ? code : 128 + constants.signals[child.signalCode as NodeJS.Signals];
  },
};
