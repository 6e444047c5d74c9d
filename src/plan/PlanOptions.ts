import type { Platform } from "../oci/platform.ts";

/** A build context by name: it stands for the stage or the image of that name. */
export type NamedContext =
  | { type: "image"; reference: string }
  /** A tree of files; `context` is the name that the `ContextStep` gets. */
  | { type: "tree"; context: string };

export interface PlanOptions {
  /** Name (any case) of the stage to build; the last one where not said. */
  target?: string;
  /** `undefined`: named without a value and unset in the caller's environment, which counts as not given. */
  buildArgs?: Record<string, string | undefined>;
  /** `--label`: added to the target's labels, stronger than LABEL. */
  labels?: Record<string, string>;
  /** As asked for. Absent: the build platform, and the image says what its base says. */
  targetPlatform?: Platform;
  buildPlatform: Platform;
  /** Others are built beside it: the steps' names say their platform. */
  multiPlatform?: boolean;
  noCache?: boolean;
  /** Stage names whose steps are run anew. */
  noCacheFilter?: string[];
  namedContexts?: Record<string, NamedContext>;
  /** Network of RUN steps that do not choose one. */
  network?: "default" | "none" | "host";
}
