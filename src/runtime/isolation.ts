import { readFileSync } from "node:fs";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { inUserNamespace } from "../linux/userNamespace.ts";
import { capabilitiesOfMask } from "./capabilities.ts";

/** How processes are kept apart. `auto`: the strongest that works. */
export const ISOLATIONS = ["auto", "oci", "rootless", "chroot"] as const;
export type IsolationWish = (typeof ISOLATIONS)[number];

/** What a process must be able to for the rung of `chroot`. */
const CHROOT_NEEDS = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SETGID", "CAP_SETUID", "CAP_SYS_CHROOT"];

/** This process's capabilities, those in effect. */
export function effectiveCapabilities(status: string = readFileSync("/proc/self/status", "utf8")): string[] {
  return capabilitiesOfMask(/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0");
}

let own: string[] | undefined;

/** The same, read once: for who asks more than once what way to go. */
function ownEffective(): string[] {
  own ??= effectiveCapabilities();
  return own;
}

/**
 * Whether this process works by chroot(2): it was asked for, or it is the root of a container that may make no namespaces.
 * @throws SlipwayError `ISOLATION_UNAVAILABLE` where what was asked for cannot be had
 */
export function worksByChroot(
  wish: IsolationWish = "auto",
  able: { uid: number; capabilities: () => string[]; ofUser: () => boolean } = {
    uid: process.getuid?.() ?? -1,
    capabilities: ownEffective,
    ofUser: inUserNamespace,
  },
): boolean {
  if (wish === "chroot") {
    const lacks = able.uid === 0 ? missing(able.capabilities()) : CHROOT_NEEDS;
    if (lacks.length === 0) return true;
    throw refused(
      "chroot",
      `it needs root with ${lacks.join(", ")}`,
      "A container's root has them by Docker's defaults.",
    );
  }
  if (able.uid !== 0) return false;
  if (wish === "rootless" && !able.ofUser())
    throw refused(wish, "that is for users; root needs no namespace of a user's", "Root has --isolation oci.");
  const capabilities = able.capabilities();
  if (wish === "oci" && !capabilities.includes("CAP_SYS_ADMIN"))
    throw refused(wish, "it needs CAP_SYS_ADMIN, for mounts and namespaces", "Without it there is --isolation chroot.");
  return wish === "auto" && !capabilities.includes("CAP_SYS_ADMIN") && missing(capabilities).length === 0;
}

function missing(capabilities: readonly string[]): string[] {
  return CHROOT_NEEDS.filter((name) => !capabilities.includes(name));
}

export function refused(wish: IsolationWish, why: string, hint: string): SlipwayError {
  return new SlipwayError("ISOLATION_UNAVAILABLE", `--isolation ${wish}: ${why}`, { hint, exitCode: 125 });
}
