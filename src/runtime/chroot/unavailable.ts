import { SlipwayError } from "../../oci/SlipwayError.ts";

/** What needs namespaces or mounts, where this process may make none. `what` begins the sentence. */
export function unavailable(what: string, exitCode = 1): SlipwayError {
  return new SlipwayError("ISOLATION_UNAVAILABLE", `${what} cannot be had by chroot, without namespaces`, {
    hint: "Root with CAP_SYS_ADMIN has it (--isolation oci), and a user who may make user namespaces (--isolation rootless): see 'slipway info'.",
    exitCode,
  });
}
