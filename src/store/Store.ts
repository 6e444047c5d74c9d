import type { Collector } from "./collector.ts";
import type { Doubt } from "./doubt.ts";
import type { Linux } from "../linux/Linux.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { ImageConfig } from "../oci/config.ts";
import type { Snapshotter, StorageWish } from "./Snapshotter.ts";

/** Times are milliseconds since the epoch, sizes bytes. Every method is synchronous unless it returns a promise. */
export interface Store {
  readonly root: string;
  readonly linux: Linux;
  readonly blobs: Blobs;
  readonly layers: Layers;
  readonly images: Images;
  readonly containers: Containers;
  readonly networks: Networks;
  readonly manifests: Manifests;
  readonly cache: CacheRecords;
  readonly cacheMounts: CacheMounts;
  readonly settings: Settings;
  /** As `storage` says, which is what was asked for. */
  readonly snapshotter: Snapshotter;
  readonly storage: StorageWish;
  /** All or nothing; nested calls join the outer one. Takes the write lock at its start. */
  transaction<T>(work: () => T): T;
  /**
   * Protects what this process is about to use or has just made from gc and sweep until `release`, or until the process ends
   * in whatever way. Every temporary path comes from a lease.
   */
  lease(purpose: string): Lease;
  /**
   * Runs `work` while no other process or caller holds `key`; waits for its turn. Freed by the kernel when the holder dies.
   * `key` is any text: it is hashed for the file name.
   */
  locked<T>(key: string, work: () => Promise<T>): Promise<T>;
  /** The same in two halves: resolves when `key` is held; the function it gives frees it again. */
  lock(key: string): Promise<() => void>;
  /** Undefined where another holds `key`. */
  tryLock(key: string): (() => void) | undefined;
  /** Removes what killed processes left: expired leases and their paths, half-made containers. Cheap when there is nothing. */
  sweep(): void;
  readonly doubt: Doubt;
  /** What the build cache has on the disk, and how it is made smaller. */
  collector(): Promise<Collector>;
  /** Keeps the database quick to open: some milliseconds now and then, for a moment in which the caller waits for something else anyway. */
  checkpoint(): void;
  close(): void;
}

export interface Lease {
  readonly id: string;
  protect(kind: "blob" | "layer" | "image", digest: Digest): void;
  /** The same for a cache mount's directory; `CacheMounts.use` does it. */
  protectCacheMount(name: string): void;
  /** A fresh directory of mode 0700 on the store's file system, removed with the lease unless it was renamed away. */
  directory(): string;
  /** Removes its temporary paths, and what was freed while the lease held it; inside of a transaction once that is committed. Idempotent. */
  release(): void;
}

export interface Blobs {
  has(digest: Digest): boolean;
  /** Absolute path of the immutable file. */
  path(digest: Digest): string;
  size(digest: Digest): number | undefined;
  /** Whole content, verified. For manifests and configs. @throws SlipwayError `BLOB_NOT_FOUND`, `BLOB_CORRUPT` */
  read(digest: Digest): Uint8Array;
  /** Durable when it returns. */
  write(bytes: Uint8Array, lease: Lease): Digest;
  /**
   * Streams into the store, verifying digest and size: nothing is kept of what does not match. Durable when it resolves.
   * `onProgress` hears the bytes so far. @throws SlipwayError `DIGEST_MISMATCH`, `SIZE_MISMATCH`
   */
  ingest(
    stream: ReadableStream<Uint8Array>,
    expected: { digest: Digest; size: number },
    options: { lease: Lease; onProgress?: (bytes: number) => void },
  ): Promise<void>;
  /** A blob that comes in parts, and whose digest is said when it is whole. Until then it lies in a directory of the lease. */
  receive(lease: Lease): Receiving;
  remove(digest: Digest): void;
  list(): { digest: Digest; size: number }[];
}

export interface Receiving {
  /** Bytes so far. */
  readonly size: number;
  write(bytes: Uint8Array): void;
  /** It is a blob of the store when this returns, and protected by that lease. Nothing is kept of what does not match. @throws SlipwayError `DIGEST_MISMATCH` */
  finish(expected: Digest, lease: Lease): void;
  /** Nothing after `finish`. Idempotent. */
  abort(): void;
}

export interface LayerRecord {
  diffID: Digest;
  /** `<root>/layers/<hex>/fs`: the tree in overlayfs's own form, immutable. */
  path: string;
  /** Bytes of its uncompressed tar. */
  tarSize: number;
  /** Sum of the sizes of its regular files, hard links once: what Docker calls the layer's size. */
  size: number;
  /** Directories that the tar implies but does not list, relative paths: their mode and owner come from the layers below. */
  impliedDirs: string[];
  created: number;
}

/** What is known of a layer before it gets its place. */
export type NewLayer = Omit<LayerRecord, "path" | "created">;

export interface Layers {
  get(diffID: Digest): LayerRecord | undefined;
  /** @throws SlipwayError `LAYER_NOT_FOUND` */
  require(diffID: Digest): LayerRecord;
  /**
   * Renames `directory` (from a lease) to its place and records it; where the layer is there already, that one is returned and
   * `directory` is left to the lease. Safe against the end of any process at once; see `settle` for a loss of power.
   */
  adopt(directory: string, layer: NewLayer, lease: Lease): LayerRecord;
  /** Compressed forms of the layer that are known, best first: those whose blob is in the store, then remembered digests. */
  blobs(diffID: Digest): Descriptor[];
  addBlob(diffID: Digest, blob: Descriptor): void;
  /** What the layer becomes in a form that is made of it anew each time (`compressionKey`), where that is remembered. */
  form(diffID: Digest, key: string): { digest: Digest; size: number } | undefined;
  rememberForm(diffID: Digest, key: string, form: { digest: Digest; size: number }): void;
  /** A short path of the layer relative to the store's root (`l/<base36>`), for mount options of old kernels. */
  shortPath(diffID: Digest): string;
  remove(diffID: Digest): void;
  list(): LayerRecord[];
  /**
   * Sees to it that layers made a while ago outlive a loss of power. Returns at once; what is not done when the process ends is left to a
   * later one. A layer is usable before: one that was not settled when the machine stopped is `unsettled` in the next boot.
   */
  settle(): void;
  /** Layers of an earlier boot of which nobody knows whether all their bytes reached the disk: for `recoverLayers`. */
  unsettled(): LayerRecord[];
  markSettled(diffIDs: readonly Digest[]): void;
  /** Puts `directory` (from a lease) in the place of the layer's tree: one that is not mounted. */
  replace(diffID: Digest, directory: string, lease: Lease): void;
  /** Layers whose tar has this many bytes: those that may have the same content as a new one. */
  ofTarSize(tarSize: number): LayerRecord[];
}

export interface ImageRecord {
  /** Digest of the config. */
  id: Digest;
  config: ImageConfig;
  /** Digest of the manifest that the config came with, a blob of the store. None for a built image: its compressed layers get their digests when they are pushed. */
  manifest?: Digest;
  created: number;
  /** Sum of its layers' sizes. */
  size: number;
}

/** A name of an image: canonical reference with tag (`docker.io/library/alpine:latest`). */
export interface Tag {
  reference: string;
  id: Digest;
  /** Digest under which a registry gave or took it (index or manifest), as `images --digests` shows. */
  repoDigest?: Digest;
  /** The manifest or index that it came as, a blob of the store: it leaves as that, where all that this names is here. None for what was built here. */
  source?: Digest;
  tagged: number;
  /** Of the documents that a push of the name writes. */
  annotations?: TagAnnotations;
}

/** `images`: by image ID, of its manifest and of the descriptor that names that in an index. */
export interface TagAnnotations {
  index?: Record<string, string>;
  images: Record<Digest, { manifest?: Record<string, string>; descriptor?: Record<string, string> }>;
}

export interface Images {
  get(id: Digest): ImageRecord | undefined;
  /** By ID prefix (at least one hex digit, `sha256:` allowed). @throws SlipwayError `AMBIGUOUS_ID` */
  find(prefix: string): ImageRecord | undefined;
  byTag(reference: string): ImageRecord | undefined;
  /** By `repository@digest` under which a registry gave it. */
  byRepoDigest(repository: string, digest: Digest): ImageRecord | undefined;
  /** Config and manifest must be blobs of the store, layers recorded. Idempotent. */
  put(id: Digest, manifest?: Digest): ImageRecord;
  /** `id` is what the name stands for; `images`, where there are several platforms, all of them with it, in the order of their index. */
  tag(
    reference: string,
    id: Digest,
    repoDigest?: Digest,
    more?: { images?: readonly Digest[]; annotations?: TagAnnotations; source?: Digest },
  ): void;
  /** A registry has taken what the name stands for under this digest. */
  setRepoDigest(reference: string, digest: Digest): void;
  /** All images of the name, in the order of their index: one where it has one platform. */
  ofTag(reference: string): ImageRecord[];
  /** False when there was none. */
  untag(reference: string): boolean;
  /** Of an image also those that stand for it beside another platform's. */
  tags(id?: Digest): Tag[];
  /** `images`: where that is an index, all of it that is here, `id` among them; `ofTag` gives them by `repository@digest`. */
  addRepoDigest(repository: string, digest: Digest, id: Digest, images?: readonly Digest[]): void;
  removeRepoDigest(repository: string, digest: Digest): void;
  repoDigests(id: Digest): { repository: string; digest: Digest }[];
  /** The record, its tags, and those layers and blobs that nothing else uses; what only a lease holds goes with that. Returns the layers that went. */
  remove(id: Digest): Digest[];
  list(): ImageRecord[];
}

export type ContainerStatus = "created" | "running" | "paused" | "restarting" | "exited" | "dead" | "removing";

export interface ContainerRecord {
  /** 64 hex digits. */
  id: string;
  name: string;
  image: Digest;
  /** The name that the image was asked for by. */
  imageReference: string;
  layers: Digest[];
  /** Of images that are mounted in it. */
  mountedLayers?: Digest[];
  created: number;
  status: ContainerStatus;
  /** Host pid of its first process and that process's start time (clock ticks, /proc/PID/stat field 22): together they name it for ever. */
  pid?: number;
  pidStart?: number;
  conmonPid?: number;
  started?: number;
  finished?: number;
  exitCode?: number;
  error?: string;
  /** What it has of networks while it runs, in the engine's own shape. */
  network?: unknown;
  autoRemove: boolean;
  /** Processes of ours that look after it while it runs (health, log), each the leader of a group. */
  watchers?: { pid: number; start: number }[];
  /** Of `restarting`: who will start it again. */
  restarter?: { pid: number; start: number };
  /** How often its policy has started it again since somebody did, and how long it waited last. */
  restartCount?: number;
  restartDelayMs?: number;
  /** The kernel has ended one of its processes for want of memory. */
  oomKilled?: boolean;
  /** Somebody has asked for its end: its policy leaves it alone. */
  stopped?: boolean;
  /** With `stopped`: it was for an end of the host, and the policy is asked again when the host has started. */
  stoppedWithHost?: boolean;
  /** Options of `create`, in the engine's own shape. The store does not look inside. */
  options: unknown;
}

export interface Containers {
  /** `<root>/containers/<id>`: holds upper/, work/, config.json, logs. */
  directory(id: string): string;
  /** Makes the directory and the record; from then on its layers stay. @throws SlipwayError `NAME_IN_USE`, `INVALID_NAME`, `LAYER_NOT_FOUND` */
  create(record: ContainerRecord): void;
  get(id: string): ContainerRecord | undefined;
  /** By name, ID or ID prefix. @throws SlipwayError `CONTAINER_NOT_FOUND`, `AMBIGUOUS_ID` */
  find(nameOrId: string): ContainerRecord;
  update(id: string, changes: Partial<ContainerRecord>): ContainerRecord;
  /** Record first, then the directory, and those of its layers whose image went before. */
  remove(id: string): void;
  /** The newest first. */
  list(): ContainerRecord[];
}

/** A manifest or index that the store holds beside the one manifest of each image. */
export interface KeptManifest {
  /** Canonical name without a tag: `docker.io/library/hello`. */
  repository: string;
  digest: Digest;
  mediaType: string;
  size: number;
  artifactType?: string;
  subject?: Digest;
  annotations?: Record<string, string>;
  /** The image that it came with, and goes with. */
  image?: Digest;
  created: number;
}

export interface Manifests {
  /** The manifest and `blobs`, which it names, are blobs of the store; they stay while it is recorded. Idempotent. */
  put(manifest: Omit<KeptManifest, "image" | "created">, blobs: readonly Digest[]): void;
  get(repository: string, digest: Digest): KeptManifest | undefined;
  list(): KeptManifest[];
  /** Those whose subject it is. */
  referrers(repository: string, subject: Digest): KeptManifest[];
  /** From then on it goes when the image goes. */
  belong(repository: string, digest: Digest, image: Digest): void;
  /** A name of what is no image; those of images are `Images.tags`. */
  tag(repository: string, tag: string, digest: Digest): void;
  untag(repository: string, tag: string): boolean;
  tags(): { repository: string; tag: string; digest: Digest }[];
  /** With its tags, and the blobs that nothing else names. False when there was none. */
  remove(repository: string, digest: Digest): boolean;
}

/** A network that containers can be in. */
export interface NetworkRecord {
  /** 64 hex digits. */
  id: string;
  name: string;
  driver: "bridge" | "host" | "null";
  created: number;
  /** The first is IPv4, a second one IPv6. None: of the predefined ones, whose addresses are the host's matter. */
  subnets: {
    subnet: string;
    gateway: string;
    /** Addresses are given out of this part of it. */
    range?: string;
    /** Addresses by name that are not given out. */
    reserved?: Record<string, string>;
  }[];
  internal: boolean;
  attachable: boolean;
  ipv6: boolean;
  /** Of the driver, as they were given. */
  options: Record<string, string>;
  labels: Record<string, string>;
}

export interface Networks {
  /** By name. */
  list(): NetworkRecord[];
  /** By name, ID or ID prefix. @throws SlipwayError `NETWORK_NOT_FOUND`, `AMBIGUOUS_ID` */
  find(nameOrId: string): NetworkRecord;
  /** @throws SlipwayError `NETWORK_EXISTS` */
  create(record: NetworkRecord): void;
  remove(id: string): void;
}

/** The solver's memory: key → value, both opaque texts, with the time of the last use. */
export interface CacheRecords {
  get(key: string): { value: string; created: number } | undefined;
  /** The record goes with the first of its layers that goes; a blob stays as long as a record names it. */
  put(key: string, value: string, layers: readonly Digest[], blobs?: readonly Digest[]): void;
  /** Writes down when the records that `get` gave were last used: once a build, one statement. */
  recordUses(): void;
  /** Latest records whose `group` equals: for explaining a miss. */
  nearest(group: string, limit: number): { key: string; value: string; created: number }[];
  putInGroup(group: string, key: string, value: string): void;
}

/** A directory of `RUN --mount=type=cache`. */
export interface CacheMountRecord {
  /** Of the directory below `caches/`. */
  name: string;
  /** As the Dockerfile says it; its target where it says none. */
  id: string;
  sharing: string;
  created: number;
  used: number;
  /** Bytes on the disk; undefined where a step has used it since it was measured. */
  disk?: number;
}

export interface CacheMounts {
  path(name: string): string;
  /** Records the use. From then on the directory stays while `lease` lives, whether it is there already or yet to be made. */
  use(mount: { name: string; id: string; sharing: string }, lease: Lease): void;
  list(): CacheMountRecord[];
  isHeld(name: string): boolean;
  /** Record and directory. False where a lease holds it, or it is gone already. */
  remove(name: string): boolean;
  /** Ignored where it has been used since `read` gave that record. */
  setDisk(record: CacheMountRecord, disk: number): void;
}

/** Small facts that outlive a process: what a probe found, a file's digest by its stat. */
export interface Settings {
  get(key: string): string | undefined;
  set(key: string, value: string): void;
  delete(key: string): void;
}
