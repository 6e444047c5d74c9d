import type { Patience } from "../registry/retry.ts";
import type { IsolationWish } from "../runtime/isolation.ts";
import type { SshSource } from "../runtime/sshAgents.ts";
import type { Terminal } from "../runtime/runStep.ts";
import type { Violation } from "../dockerfile/checks/violations.ts";
import type { HistoryEntry, ImageConfig } from "../oci/config.ts";
import type { Digest } from "../oci/digest.ts";
import type { StorageWish } from "../store/Snapshotter.ts";
import type { ContainerRecord, ImageRecord, Store } from "../store/Store.ts";
import type { CacheExport, CacheImport } from "./build/cache/CacheSpec.ts";
import type { CacheSettings } from "./build/cacheLimits.ts";
import type { NetworkAttachment } from "./networks/networkRecords.ts";
import type { Emit } from "./events.ts";
import type { RunSettings } from "./containers/RunSettings.ts";
import type { OutputSpec } from "./build/outputs/OutputSpec.ts";

/**
 * What a verb works with. Each verb is a function `verb(engine, …)` in a file of its own in this folder; a command imports just that file.
 * Verbs return values, emit events, print nothing, and throw `SlipwayError`.
 */
export interface Engine {
  readonly store: Store;
  readonly config: EngineConfig;
  readonly emit: Emit;
  /** Aborted by Ctrl-C: a verb then stops at once, cleans up and throws the signal's reason. */
  readonly signal: AbortSignal;
  /** Where a plain user's process is not in the user's namespace so far: begins the whole command anew there. See docs/isolation.md. */
  readonly beginAnew?: () => never;
  /** Takes away what stays of a container's networks, in a process that has the code for that: see networkRelease.ts. */
  releaseNetwork?: (engine: Engine, container: string) => void;
}

/** `/etc/slipway/config.json`, then `$XDG_CONFIG_HOME/slipway/config.json` ($SLIPWAY_CONFIG wins), environment, flags. */
export interface EngineConfig {
  root: string;
  /** How processes are kept apart; undefined: `auto`. */
  isolation?: IsolationWish;
  /** `crun`, `runc` or a path; undefined: the probe chooses. */
  runtime?: string;
  /** How root file systems are made; undefined: the probe chooses, as with `auto`. */
  storage?: StorageWish;
  /**
   * Per registry host. Mirrors are tried in order, then the host itself. `http`: plain http (loopback hosts are tried with it anyway).
   * `tlsVerify` false: any certificate is taken. `foreignLayers`: layers may come from the `urls` that a manifest names.
   */
  registries: Record<string, RegistrySettings>;
  /** Holds for each host where `registries` says nothing else of it. Not from a file. */
  everyRegistry?: Pick<RegistrySettings, "http" | "tlsVerify">;
  /** Folders of `<host>/` with certificates, in place of the usual ones. Not from a file. */
  certificates?: string[];
  /** How long a registry is waited for, and how often it is asked again. Not from a file. */
  patience?: Patience;
  /** Sizes of the build cache, and how many build records are kept. */
  cache?: CacheSettings;
}

export interface RegistrySettings {
  mirrors?: string[];
  http?: boolean;
  tlsVerify?: boolean;
  foreignLayers?: boolean;
  /** What no mirror has is not there: the host itself is not read from. Not from a file. */
  mirrorsAlone?: boolean;
}

// build.ts --------------------------------------------------------------------------------------------------------------

export interface BuildOptions {
  /** Directory, git repository, URL, or `-`: a tar or a Dockerfile on standard input. */
  context: string;
  /** Path of the Dockerfile (in the context, where that is no directory), its URL, or `-`; `Dockerfile` of the context where absent. */
  file?: string;
  /** `--build-context`: directory, git repository, URL, `docker-image://` or `oci-layout://` by name. */
  buildContexts?: Record<string, string>;
  /** Standard input, for those that say `-`. */
  stdin?: () => ReadableStream<Uint8Array>;
  tags: string[];
  target?: string;
  buildArgs: Record<string, string | undefined>;
  labels: Record<string, string>;
  noCache: boolean;
  noCacheFilter: string[];
  pull: boolean;
  /** One of them, where there are several: `platforms`. */
  platform?: string;
  /** More than one: the result is an image for each, in this order. */
  platforms?: string[];
  network?: string;
  addHosts: string[];
  jobs?: number;
  /** `inKey`: steps that use it run again when its bytes change. */
  secrets: { id: string; source?: string; env?: string; inKey?: boolean }[];
  ssh?: SshSource[];
  /** Caches beside the store's, the first one's word first; and where this build's cache goes. */
  cacheFrom?: CacheImport[];
  cacheTo?: CacheExport[];
  /** Builds a second time, without the cache and aside of the store, and compares. */
  verifyReproducible?: boolean;
  /** A step that is not in the cache fails the build. */
  failOnMiss?: boolean;
  /** Seconds: a step that was cached longer ago runs again. */
  cacheTtl?: number;
  /** The step that fails opens a shell on this terminal; the build fails when it is left. */
  shellOnError?: Terminal;
  /** `network.host`, `security.insecure`: what the Dockerfile may ask for beyond the sandbox. */
  allow?: string[];
  /** Bytes of /dev/shm in RUN steps. */
  shmSize?: number;
  /** As `--ulimit` says them. */
  ulimits?: string[];
  /** Everything above the base image becomes one layer. */
  squash?: boolean;
  /** Where the result goes: the store where nothing is said. */
  outputs?: OutputSpec[];
}

export interface BuildResult {
  imageID: Digest;
  /** Familiar names that were given. */
  tags: string[];
  /** What the build checks found. */
  warnings: Violation[];
  /** The image is in the store. */
  stored: boolean;
  /** What the outputs say of themselves, by buildx's keys. */
  metadata: Record<string, unknown>;
  /** What the image ID is the digest of. */
  config: ImageConfig;
  /** SOURCE_DATE_EPOCH in seconds, where the build had one: what is exported of it is not later. */
  epoch?: number;
  /** Where `verifyReproducible` was asked. */
  verification?: Verification;
}

/** How a second build compares with the first. */
export interface Verification {
  /** Times were compared: the build had an epoch. Without one, those of any two builds differ. */
  times: boolean;
  /** Paths in the layers that differ, by layer; and what differs in the config. None: it came out the same. */
  differences: VerifiedDifference[];
}
export interface VerifiedDifference {
  /** The history's text of the layer, "config" for what is not in one. */
  where: string;
  /** The first ones: `path` with a leading `/`, a config's key with dots. */
  paths: { path: string; what: string[] }[];
  /** There are more than those in `paths`. */
  more: boolean;
}
/** build(engine, options): Promise<BuildResult> */

// pull.ts ---------------------------------------------------------------------------------------------------------------

export interface PullOptions {
  authFile?: string;
  tlsVerify?: boolean;
  platform?: string;
  /** All that the name's index names, not one image of it. */
  allPlatforms?: boolean;
}
export interface PullResult {
  /** Canonical: `docker.io/library/alpine:latest`. */
  reference: string;
  /** Digest of what the registry gave for the reference: index or manifest. */
  digest: Digest;
  imageID: Digest;
  /** False when the store had it all. */
  updated: boolean;
}
/**
 * pull(engine, reference, options): Promise<PullResult>
 * push(engine, reference, options): Promise<Pushed[]>                   one for each tag (push.ts)
 */

// images.ts -------------------------------------------------------------------------------------------------------------

export interface ImageSummary {
  id: Digest;
  /** Familiar names with tag (`alpine:latest`); empty: dangling. */
  tags: string[];
  repoDigests: string[];
  created: number;
  size: number;
  containers: number;
}
export interface ImageHistory extends HistoryEntry {
  /** Image ID for the top entry and for entries that are an image of the store; undefined is shown as `<missing>`. */
  id?: Digest;
  tags: string[];
  size: number;
  diffID?: Digest;
}
export interface RemovedImage {
  untagged: string[];
  deleted: Digest[];
}
/**
 * images(engine, {all?, reference?, filters?}): ImageSummary[]          newest first
 * resolveImage(engine, nameOrId): ImageRecord                           SlipwayError IMAGE_NOT_FOUND, AMBIGUOUS_ID
 * inspectImage(engine, nameOrId): object                                Docker's shape (`docker image inspect`)
 * history(engine, nameOrId): ImageHistory[]                             newest first
 * tagImage(engine, source, target): void
 * removeImage(engine, nameOrId, {force}): RemovedImage                  IMAGE_IN_USE names the container
 */
export type { ContainerRecord, ImageConfig, ImageRecord };

// containers ------------------------------------------------------------------------------------------------------------

export interface CreateOptions extends RunSettings {
  image: string;
  name?: string;
  /** Replaces the image's Cmd. */
  command: string[];
  /** Replaces the image's Entrypoint; `[]` or [""] clears it. */
  entrypoint?: string[];
  env: string[];
  workdir?: string;
  user?: string;
  hostname?: string;
  tty: boolean;
  /** Keep stdin open. */
  interactive: boolean;
  autoRemove: boolean;
  /** `default`, `host`, `none`, `container:ID` or a network: what `networks` does not say. */
  network: string;
  /** Its networks, by name or ID; the first one may also be one of the words of `network`. */
  networks?: NetworkAttachment[] | undefined;
  /** `-p` as given. */
  publish?: string[];
  publishAll?: boolean;
  expose?: string[];
  dns?: string[];
  dnsSearch?: string[];
  dnsOptions?: string[];
  domainname?: string;
  readOnly: boolean;
  privileged: boolean;
  capAdd: string[];
  capDrop: string[];
  /** `-v` as given: `host:container[:ro]`, `name:container`, `/container`. */
  volumes: string[];
  labels: Record<string, string>;
  addHosts: string[];
  stopSignal?: string;
  stopTimeout?: number;
  init: boolean;
  shmSize?: number;
  /** `missing` (default), `always`, `never`. */
  pull: "missing" | "always" | "never";
  platform?: string;
  securityOpt: string[];
  tmpfs: string[];
}

/** Where a foreground process's streams go. The engine puts a terminal into raw mode itself when `tty` and `terminal` are given. */
export interface Streams {
  stdin?: number;
  stdout: (bytes: Uint8Array) => void;
  stderr: (bytes: Uint8Array) => void;
  /** Descriptor of the user's terminal. */
  terminal?: number;
}

export interface ExecOptions {
  command: string[];
  env: string[];
  user?: string;
  workdir?: string;
  tty: boolean;
  interactive: boolean;
  privileged: boolean;
  detach: boolean;
  /** Docker's text form; the container's own, then ctrl-p,ctrl-q, where not said. */
  detachKeys?: string;
  /** Milliseconds after which it is ended, with the error `EXEC_TIMEOUT`. */
  timeoutMs?: number;
}

export interface ContainerSummary extends ContainerRecord {
  /** Shown in COMMAND, without quotes. */
  commandText: string;
  /** "Up 3 minutes", "Exited (0) 2 seconds ago", "Created". */
  statusText: string;
}

export interface Change {
  kind: "A" | "C" | "D";
  path: string;
}
/**
 * createContainer(engine, options): Promise<ContainerRecord>
 * startContainer(engine, id): Promise<void>                             detached
 * runForeground / attachContainer(engine, id, streams): Promise<number> starts (if asked) and attaches; exit code
 * execContainer(engine, id, options, streams): Promise<number>
 * stopContainer(engine, id, {timeout?, signal?}), killContainer(engine, id, signal), removeContainer(engine, id, {force, volumes})
 * listContainers(engine, {all}): ContainerSummary[]                     newest first, states made true first
 * logs(engine, id, {follow, tail, timestamps, since, until}, streams), diffContainer(engine, id): Change[]
 * commitContainer(engine, id, {reference?, author?, message?, changes}): Promise<Digest>
 * inspectContainer(engine, id): object                                  Docker's shape
 */
