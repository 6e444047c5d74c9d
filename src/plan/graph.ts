import type { ContainerConfig } from "../oci/config.ts";
import type { Digest } from "../oci/digest.ts";
import type { Platform } from "../oci/platform.ts";
import type { SourceRange } from "../oci/SlipwayError.ts";

/** `s0`, `s1` …: unique in one graph, stable for one Dockerfile. Empty file systems (`FROM scratch`) are `undefined` where a step is asked for. */
export type StepID = string;

export interface StepBase {
  id: StepID;
  /** What the progress shows: `[build 2/5] RUN make`. Secret values never stand here. */
  name: string;
  /** Stage name or number, "" for sources. */
  stage: string;
  range?: SourceRange;
  /** Of the stage; absent where it does not matter: sources. */
  platform?: Platform;
  /** `--no-cache`, `--no-cache-filter`. */
  ignoreCache: boolean;
  /** `# cache: ttl=1d` above the instruction, in seconds. */
  cacheTtl?: number;
}

/** Layers of an image that the registry or the store has. */
export interface ImageStep extends StepBase {
  kind: "image";
  reference: string;
  platform: Platform;
  /** Config digest and layers, from the resolver. */
  imageID: Digest;
  layers: Digest[];
}

/** A build context as a tree of files: the main one is named "context". */
export interface ContextStep extends StepBase {
  kind: "context";
  context: string;
}

/** An ADD source that is fetched. The result is a tree with one file, or the repository's. */
export interface HttpStep extends StepBase {
  kind: "http";
  url: string;
  /** Name of the file in the tree. */
  fileName: string;
  checksum?: Digest;
}
export interface GitStep extends StepBase {
  kind: "git";
  remote: string;
  ref?: string;
  subdir?: string;
  keepGitDir: boolean;
  submodules: boolean;
  /** Commit id or prefix of it that must come out. */
  checksum?: string;
}

export type RunMount =
  | { type: "bind"; from: StepID | undefined; source: string; target: string; readOnly: boolean }
  | {
      type: "cache";
      id: string;
      sharing: "shared" | "private" | "locked";
      from: StepID | undefined;
      source: string;
      target: string;
      readOnly: boolean;
      mode?: number;
      uid?: number;
      gid?: number;
    }
  | { type: "tmpfs"; target: string; size?: number }
  | {
      type: "secret";
      id: string;
      target?: string;
      env?: string;
      required: boolean;
      mode: number;
      uid: number;
      gid: number;
    }
  | { type: "ssh"; id: string; target: string; required: boolean; mode: number; uid: number; gid: number };

export interface RunStep extends StepBase {
  kind: "run";
  base: StepID | undefined;
  /** The process's arguments, SHELL applied. */
  args: string[];
  /** Complete environment, `K=V`, in order; proxy arguments are in `proxyEnv`. */
  env: string[];
  /** Those of `env` that ARG set. */
  argNames: string[];
  /** Seen by the process, not part of the cache key. */
  proxyEnv: string[];
  cwd: string;
  /** As USER says; "" = root. */
  user: string;
  mounts: RunMount[];
  network: "default" | "none" | "host";
  security: "sandbox" | "insecure";
  /** Heredoc scripts: file name under /dev/pipes and content, read-only in the step. */
  pipes: { name: string; content: string }[];
}

/** One source of COPY or ADD, expanded. */
export type CopyItem =
  | {
      type: "path";
      from: StepID | undefined /** Cleaned, without leading `/`; may hold wildcards. */;
      path: string;
      wildcard: boolean /** Extract a local archive (ADD). */;
      extract: boolean;
    }
  | { type: "inline"; name: string; content: string };

export interface CopyStep extends StepBase {
  kind: "copy";
  base: StepID | undefined;
  items: CopyItem[];
  /** Absolute, WORKDIR applied; a trailing slash is kept and matters. */
  dest: string;
  /** As written and expanded: names are looked up in `base`. */
  chown?: string;
  /** Octal or symbolic, as written and expanded. */
  chmod?: string;
  /** Independent of `base`'s files: `--link`. */
  link: boolean;
  parents: boolean;
  exclude: string[];
}

/** WORKDIR: a directory that is to be there, owned by `user` where it has to be made. */
export interface MkdirStep extends StepBase {
  kind: "mkdir";
  base: StepID | undefined;
  path: string;
  user: string;
}

export type Step = ImageStep | ContextStep | HttpStep | GitStep | RunStep | CopyStep | MkdirStep;

/** A history entry in the making: `layer` names the step whose layer it describes, absent for an empty layer. */
export interface PlannedHistory {
  created_by: string;
  author?: string;
  comment: string;
  layer?: StepID;
}

/** What a stage comes to: its file system is that of `step` (`undefined`: empty). */
export interface PlannedImage {
  step: StepID | undefined;
  platform: Platform;
  config: ContainerConfig;
  author?: string;
  /** History of the base image, kept as it is, then ours. */
  baseHistory: import("../oci/config.ts").HistoryEntry[];
  history: PlannedHistory[];
}

/** Everything that the target needs and nothing else, in an order in which each step comes after what it uses. */
export interface Graph {
  steps: Step[];
  target: PlannedImage;
  /** Build arguments that no ARG asks for: most often misspelt. */
  unusedBuildArgs: string[];
  /** Name or number of the target stage. */
  targetName: string;
}

/** What the planner asks of the outside world: base images by reference. Only what the target needs is asked for. */
export interface BaseImage {
  reference: string;
  imageID: Digest;
  config: import("../oci/config.ts").ImageConfig;
  platform: Platform;
}
export type ResolveImage = (reference: string, platform: Platform) => Promise<BaseImage>;
