import type { Linux } from "../linux/Linux.ts";
import type { Digest } from "../oci/digest.ts";
import type { Step, StepID } from "../plan/graph.ts";
import type { Rlimit } from "../runtime/rlimits.ts";
import type { StepNetwork } from "../runtime/runStep.ts";
import type { Sandbox } from "../runtime/Sandbox.ts";
import type { Terminal } from "../runtime/runStep.ts";
import type { SshAgents } from "../runtime/sshAgents.ts";
import type { Snapshotter } from "../store/Snapshotter.ts";
import type { Lease, Store } from "../store/Store.ts";
import type { CacheCollector, ImportedCache } from "./ImportedCache.ts";
import type { Miss } from "./explain/explainMiss.ts";
import type { Semaphore } from "./semaphore.ts";
import type { FileTree } from "./tree/FileTree.ts";
import type { TreeDigester } from "./tree/treeDigest.ts";

/** What the solver tells. The engine turns it into its own events. */
export type SolveEvent =
  | { type: "start"; step: Step }
  | { type: "log"; step: Step; stream: 1 | 2; data: Uint8Array }
  | { type: "done"; step: Step; cached: boolean; miss?: Miss /** The step's own. */; layer?: Digest }
  /** A person gets the terminal for a while, and has it no more. */
  | { type: "shell"; step: Step; open: boolean; message: string }
  | { type: "error"; step: Step; error: unknown; canceled: boolean };

export interface SecretSource {
  id: string;
  /** The bytes; read when a step asks for them. @throws SlipwayError when the file cannot be read */
  read(): Uint8Array;
  /** A step that uses it runs again when its bytes change. */
  inKey: boolean;
}

/** What one build works with. */
export interface SolveContext {
  store: Store;
  linux: Linux;
  snapshotter: Snapshotter;
  lease: Lease;
  signal: AbortSignal;
  emit: (event: SolveEvent) => void;
  /** Bounds the steps that work at the same time; waiting for inputs and asking the cache is free. */
  slots: Semaphore;
  /** Before the files of layers are looked at: brings those that a base image has and the store does not have yet. `why`: what a person is told. */
  fetchLayers(layers: readonly Digest[], why: string): Promise<void>;
  /** Opens a build context by name. Called once per context. */
  openContext(name: string): Promise<FileTree>;
  /** A step that the cache does not have is an error instead of work. */
  failOnMiss: boolean;
  /** The first step that fails opens a shell here before the build ends. */
  shellOnError?: Terminal;
  secrets: Map<string, SecretSource>;
  ssh: SshAgents;
  /** `host:ip`, from `--add-host`. */
  addHosts: string[];
  /** Distinguishes the builds whose misses are explained by each other: the context's path and the Dockerfile's. */
  project: string;
  /** `--network` of the build: what a step's "default" means. */
  network: "default" | "none" | "host" | NamedNetwork;
  /** SOURCE_DATE_EPOCH in seconds: no file that a step writes is later than this, and each step's key says it. */
  epoch?: number;
  /** Seconds: a cached step that is older runs again. */
  cacheTtl?: number;
  /** `--cache-from`. */
  imported?: ImportedCache;
  /** Hears of all that another build with the same inputs could take over. */
  collect?: CacheCollector;
  /** What every RUN step gets beyond its own: part of its key. */
  machine: { hostname?: string; shmSize?: number; rlimits: Rlimit[] };
  /** The OCI runtime and this process's private mount namespace; asked for by the first step that runs something. */
  sandbox(): Promise<Sandbox>;
}

/** A network that each step gets an address of its own in, or shares. */
export interface NamedNetwork {
  /** For the step's key: what is in the network does not count. */
  key: string;
  open(): StepNetwork & { close(): void };
}

/** What a step that fetches needs, and no more: the engine fetches build contexts by the same steps. */
export type FetchContext = Pick<SolveContext, "store" | "linux" | "lease" | "signal" | "emit">;

export type { Sandbox };

/** A file system made of layers, lowest first. `created` (ms) is when its last layer was first made. */
export interface LayersResult {
  kind: "layers";
  layers: Digest[];
  /** The step's own layer, absent for images. */
  layer?: Digest;
  created?: number;
  /** The image that this is, as it came: for the explanation of what stands on it. */
  image?: { reference: string; imageID: Digest };
}

/** A tree that is only copied from. */
export interface TreeResult {
  kind: "tree";
  tree: FileTree;
  digester: TreeDigester;
  /** When what was fetched was made, in seconds, where its source says: the commit's time, Last-Modified. */
  made?: number;
}

export type StepResult = LayersResult | TreeResult;
export type ResultOf = (id: StepID | undefined) => Promise<StepResult>;
