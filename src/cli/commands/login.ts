import type { Call, Command } from "../Command.ts";
import { flag, text } from "../Command.ts";
import { registryAccess, registryFlags } from "../registryFlags.ts";
import { userId } from "../../linux/userNamespace.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { isTerminal } from "../isTerminal.ts";

export const command: Command = {
  usage: "[OPTIONS] [SERVER]",
  summary: "Log in to a registry (Docker Hub where none is named)",
  example: "slipway login registry.example.com",
  min: 0,
  max: 1,
  flags: {
    username: { type: "string", short: "u", help: "User name" },
    password: { type: "string", short: "p", help: "Password or access token" },
    "password-stdin": { type: "bool", help: "Take the password from standard input" },
    ...registryFlags,
  },
  async run(call) {
    const options = registryAccess(call);
    const engine = await import("../../engine/images/login.ts");
    const { loadConfig } = await import("../../engine/openEngine.ts");
    const context = {
      config: loadConfig(process.env, userId(), {}),
      signal: call.signal,
      env: process.env,
    };
    const server = engine.serverOf(call.positionals[0]);
    const given = await givenCredentials(call);
    if (given === undefined) {
      const known = await engine.knownCredentials(context, server, options);
      if (known !== undefined) {
        call.err(
          `Authenticating with existing credentials...${known.username ? ` [Username: ${known.username}]` : ""}\n`,
        );
        try {
          await engine.checkCredentials(context, server, known, options);
          call.out("Login Succeeded\n");
          return 0;
        } catch (error) {
          if (!(error instanceof SlipwayError) || error.code !== "UNAUTHORIZED") throw error;
          call.err("They are not taken any more.\n");
        }
      }
    }
    const credentials = given ?? (await askedCredentials(call));
    await engine.checkCredentials(context, server, credentials, options);
    const file = await engine.saveCredentials(context, server, credentials, options);
    if (file !== undefined)
      call.err(
        `\nWARNING! Your credentials are stored unencrypted in '${file}'.\nA credential helper (credsStore) keeps them better.\n\n`,
      );
    call.out("Login Succeeded\n");
    return 0;
  },
};

/** What the command line says. A name without a password is asked for one. */
async function givenCredentials(call: Call): Promise<{ username: string; password: string } | undefined> {
  const username = text(call, "username");
  const password = text(call, "password");
  if (flag(call, "password-stdin")) {
    if (password !== undefined)
      throw new SlipwayError("USAGE", "--password and --password-stdin are mutually exclusive");
    if (!username) throw new SlipwayError("USAGE", "Must provide --username with --password-stdin");
    return { username, password: (await Bun.stdin.text()).replace(/\r?\n$/, "") };
  }
  if (password !== undefined) call.err("WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n");
  if (username !== undefined && password !== undefined) return { username, password };
  return username === undefined && password === undefined ? undefined : askedCredentials(call);
}

async function askedCredentials(call: Call): Promise<{ username: string; password: string }> {
  let username = text(call, "username");
  let password = text(call, "password");
  if (!isTerminal(0))
    throw new SlipwayError("USAGE", "Cannot perform an interactive login from a non TTY device", {
      hint: "Use --username and --password-stdin.",
    });
  const { prompt } = await import("../prompt.ts");
  username ??= await prompt("Username: ", { out: call.out, signal: call.signal });
  if (username === "") throw new SlipwayError("USAGE", "username is required");
  password ??= await prompt("Password: ", { out: call.out, signal: call.signal, hidden: true });
  if (password === "") throw new SlipwayError("USAGE", "password is required");
  return { username, password };
}
