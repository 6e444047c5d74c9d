import type { RegistryAccess } from "../engine/images/openRegistry.ts";
import { type Call, flag, given, text } from "./Command.ts";
import type { Flag } from "./flags.ts";

/** What every command that asks a registry takes. */
export const registryFlags: Record<string, Flag> = {
  authfile: { type: "string", help: "File with the credentials, in the form of ~/.docker/config.json" },
  "tls-verify": { type: "bool", help: "Whether the registry must prove who it is (default true)" },
};

/** Docker's word for `--tls-verify=false`. */
export const insecureFlag: Flag = { type: "bool", help: "The registry need not prove who it is" };

export function registryAccess(call: Call): RegistryAccess {
  return {
    ...given("authFile", text(call, "authfile")),
    ...given(
      "tlsVerify",
      (call.values["tls-verify"] as boolean | undefined) ?? (flag(call, "insecure") ? false : undefined),
    ),
  };
}
