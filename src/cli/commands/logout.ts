import type { Command } from "../Command.ts";
import { text } from "../Command.ts";

export const command: Command = {
  usage: "[SERVER]",
  summary: "Forget the credentials of a registry (Docker Hub where none is named)",
  example: "slipway logout registry.example.com",
  min: 0,
  max: 1,
  flags: { authfile: { type: "string", help: "File with the credentials, in the form of ~/.docker/config.json" } },
  async run(call) {
    const { removeCredentials, serverOf } = await import("../../engine/images/login.ts");
    const server = serverOf(call.positionals[0]);
    const authFile = text(call, "authfile");
    const context = { config: { registries: {} }, signal: call.signal, env: process.env };
    const name =
      server.host === "docker.io"
        ? "https://index.docker.io/v1/"
        : [server.host, server.path].filter(Boolean).join("/");
    const removed = await removeCredentials(context, server, authFile === undefined ? {} : { authFile });
    call.out(removed ? `Removing login credentials for ${name}\n` : `Not logged in to ${name}\n`);
    return 0;
  },
};
