import type { Linux } from "../linux/Linux.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import type { Settings } from "./Store.ts";

const KEY = "overlay attributes";

/**
 * The kernel for a store, whose layers have the marks of opaque directories in attributes of one kind for ever: that which its first user could write. `user`
 * ones are read by all; `trusted` ones by the machine's root alone, and to others a directory would show what was removed.
 */
export function withMarks(linux: Linux, settings: Pick<Settings, "get" | "set">, root: string): Linux {
  let known: ReturnType<Linux["overlayAttributes"]> | undefined;
  return {
    ...linux,
    overlayAttributes() {
      known ??= marksOf(linux, settings, root);
      return known;
    },
  };
}

function marksOf(
  linux: Linux,
  settings: Pick<Settings, "get" | "set">,
  root: string,
): "trusted.overlay." | "user.overlay." {
  const own = linux.overlayAttributes();
  const kept = settings.get(KEY);
  if (kept === undefined) settings.set(KEY, own);
  if (kept === undefined || kept === own) return own;
  if (kept === "user.overlay.") return kept;
  throw new SlipwayError("STORE_UNUSABLE", `the store ${root} has marks that only the machine's root can read`, {
    hint: "It was made by root with CAP_SYS_ADMIN. Run slipway so, or name another store by --root or $SLIPWAY_ROOT.",
  });
}
