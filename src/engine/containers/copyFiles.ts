import {
  AT_FDCWD,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
} from "../../linux/constants.ts";
import { createExtractor } from "../../layer/extractTree.ts";
import { packTree } from "../../layer/packTree.ts";
import type { Stat } from "../../linux/Linux.ts";
import { isErrno } from "../../linux/LinuxError.ts";
import { withContainerRoot } from "./containerRoot.ts";
import { containerOptions } from "./ContainerOptions.ts";
import { refreshContainer } from "./containerState.ts";
import { type CopyPath, cannot, parseCopyPath, placeCopy, splitPath } from "./copyPaths.ts";
import type { Engine } from "../Engine.ts";
import { recordContainerEvent } from "../events/eventLog.ts";

export interface CopyOptions {
  /** Owners as in the source; otherwise root's in a container, and the user's own here. */
  archive: boolean;
  /** A source that is a link is what that leads to. */
  followLink: boolean;
}

/** A place that one looks at: a container's root, or ours. */
interface Tree {
  root: number;
  /** Where relative links and paths begin. */
  base: string;
  what: string;
}

/** Copies from a container to `to` here, or gives a tar to `to`. Resolves with the tar's bytes. @throws SlipwayError `CANNOT_COPY`, `CONTAINER_NOT_FOUND` */
export async function copyFromContainer(
  engine: Engine,
  source: { container: string; path: string },
  to: string | ((chunk: Uint8Array) => void),
  options: CopyOptions,
): Promise<number> {
  const record = refreshContainer(engine, engine.store.containers.find(source.container));
  const here = typeof to === "string" ? parseCopyPath(to, process.cwd()) : undefined;
  return withContainerRoot(engine, record, async (root) => {
    const tree: Tree = { root, base: "/", what: `container ${record.name}` };
    const given = parseCopyPath(source.path, "/");
    const copied = find(engine, tree, given, options.followLink);
    if (typeof to !== "string") {
      const total = await send(engine, copied, copied.rename ?? copied.name, to);
      recordContainerEvent(engine, record, "archive-path");
      return total;
    }
    const own = engine.store.linux.openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY);
    try {
      const total = await transfer(
        engine,
        copied,
        { tree: { root: own, base: process.cwd(), what: HERE }, path: here as CopyPath },
        options,
      );
      recordContainerEvent(engine, record, "archive-path");
      return total;
    } finally {
      engine.store.linux.close(own);
    }
  }).catch(explain);
}

/** The other way round; `from` is a path here or a tar. */
export async function copyToContainer(
  engine: Engine,
  from: string | ReadableStream<Uint8Array>,
  destination: { container: string; path: string },
  options: CopyOptions,
): Promise<number> {
  const { linux } = engine.store;
  const record = refreshContainer(engine, engine.store.containers.find(destination.container));
  if (containerOptions(record).readOnly) throw cannot("container rootfs is marked read-only");
  return withContainerRoot(engine, record, async (root) => {
    const target = {
      tree: { root, base: "/", what: `container ${record.name}` },
      path: parseCopyPath(destination.path, "/"),
    };
    let total = 0;
    if (typeof from !== "string") {
      const place = resolveDestination(engine, target.tree, target.path);
      if (!place.isDirectory)
        throw cannot(`destination "${destination.container}:${destination.path}" must be a directory`);
      const extractor = createExtractor(linux, {
        root,
        at: place.path.slice(1),
        resolve: RESOLVE_IN_ROOT,
        ...owner(options),
      });
      for await (const chunk of from) {
        total += chunk.length;
        extractor.push(chunk);
      }
      extractor.finish();
    } else {
      const own = linux.openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY);
      try {
        const tree = { root: own, base: process.cwd(), what: HERE };
        const copied = find(engine, tree, parseCopyPath(from, process.cwd()), options.followLink);
        total = await transfer(engine, copied, target, options);
      } finally {
        linux.close(own);
      }
    }
    recordContainerEvent(engine, record, "extract-to-dir");
    return total;
  }).catch(explain);
}

/** The host's own tree. */
const HERE = "here";

interface Found {
  tree: Tree;
  directory: string;
  /** Last part, "." for contents. */
  name: string;
  /** What a link that was followed was called. */
  rename?: string;
  stat: Stat;
  isDirectory: boolean;
}

/** The source. Links on the way are followed inside of the tree, the last one only where asked for, or where it must be a directory. */
function find(engine: Engine, tree: Tree, given: CopyPath, followLink: boolean): Found {
  const follows = followLink || given.assertsDirectory;
  const [directory, name] = splitPath(given.path);
  const first = statIn(engine, tree, directory, name);
  if (first === undefined)
    throw cannot(
      tree.what === HERE
        ? `lstat ${given.path}: no such file or directory`
        : `Could not find the file ${given.path} in ${tree.what}`,
    );
  let found: Found;
  if ((first.mode & S_IFMT) === S_IFLNK && follows) {
    const target = realPath(engine, tree, given.path);
    if (target === undefined)
      throw cannot(`could not find the file ${given.path} in ${tree.what}: a link that leads nowhere`);
    const [at, base] = splitPath(target);
    const stat = statIn(engine, tree, at, base) as Stat;
    found = { tree, directory: at, name: base, rename: name, stat, isDirectory: (stat.mode & S_IFMT) === S_IFDIR };
  } else found = { tree, directory, name, stat: first, isDirectory: (first.mode & S_IFMT) === S_IFDIR };
  if (given.assertsDirectory && !found.isDirectory) throw cannot(`not a directory: ${given.path}`);
  if (given.isContents) {
    const { rename: _, ...rest } = found;
    return { ...rest, directory: splitPathJoin(found), name: "." };
  }
  return found;
}

function splitPathJoin({ directory, name }: Found): string {
  return name === "." ? directory : `${directory === "/" ? "" : directory}/${name}`;
}

function statIn(engine: Engine, tree: Tree, directory: string, name: string): Stat | undefined {
  const { linux } = engine.store;
  let fd: number;
  try {
    fd = linux.openat2(tree.root, directory, { flags: O_PATH | O_DIRECTORY, resolve: RESOLVE_IN_ROOT });
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
  try {
    return linux.statatOrUndefined(fd, name);
  } finally {
    linux.close(fd);
  }
}

/** Where a path leads to in its tree, every link followed. Undefined where that is nothing. */
function realPath(engine: Engine, tree: Tree, path: string, hops = 0): string | undefined {
  const { linux } = engine.store;
  if (hops > 40) throw cannot(`too many links: ${path}`);
  let at = "/";
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  for (const [index, part] of parts.entries()) {
    if (part === "..") {
      at = splitPath(at)[0];
      continue;
    }
    const stat = statIn(engine, tree, at, part);
    if (stat === undefined) return undefined;
    const child = `${at === "/" ? "" : at}/${part}`;
    if ((stat.mode & S_IFMT) !== S_IFLNK) {
      at = child;
      continue;
    }
    const fd = linux.openat2(tree.root, at, { flags: O_PATH | O_DIRECTORY, resolve: RESOLVE_IN_ROOT });
    let target: string;
    try {
      target = linux.readlinkat(fd, part);
    } finally {
      linux.close(fd);
    }
    const whole = [target.startsWith("/") ? target : `${at}/${target}`, ...parts.slice(index + 1)].join("/");
    return realPath(engine, tree, whole, hops + 1);
  }
  return at;
}

/** The destination, with a link at its end followed: docker writes to what that leads to. */
function resolveDestination(
  engine: Engine,
  tree: Tree,
  given: CopyPath,
): CopyPath & { exists: boolean; isDirectory: boolean } {
  const [directory, name] = splitPath(given.path);
  const stat = statIn(engine, tree, directory, name);
  if (stat === undefined) return { ...given, exists: false, isDirectory: false };
  if ((stat.mode & S_IFMT) !== S_IFLNK) {
    return { ...given, exists: true, isDirectory: (stat.mode & S_IFMT) === S_IFDIR };
  }
  const target = realPath(engine, tree, given.path);
  if (target === undefined) return { ...given, exists: false, isDirectory: false };
  const [at, base] = splitPath(target);
  const end = statIn(engine, tree, at, base) as Stat;
  return { ...given, path: target, exists: true, isDirectory: (end.mode & S_IFMT) === S_IFDIR };
}

async function transfer(
  engine: Engine,
  source: Found,
  destination: { tree: Tree; path: CopyPath },
  options: CopyOptions,
): Promise<number> {
  const { linux } = engine.store;
  const { tree } = destination;
  const place = placeCopy(source, resolveDestination(engine, tree, destination.path));
  const [above, last] = splitPath(place.directory);
  const parent = statIn(engine, tree, above, last);
  const followed =
    parent !== undefined && (parent.mode & S_IFMT) === S_IFLNK
      ? realPath(engine, tree, place.directory)
      : place.directory;
  if (parent === undefined || followed === undefined)
    throw cannot(`could not find the directory ${place.directory} in ${tree.what}`);
  const isOurs = tree.what === "here";
  const name = place.name ?? source.rename ?? source.name;
  // Here, no link that the container has made leads out of the place; there, links of the container are its own.
  const root = isOurs
    ? linux.openat2(tree.root, followed, { flags: O_RDONLY | O_DIRECTORY, resolve: RESOLVE_IN_ROOT })
    : tree.root;
  try {
    const extractor = createExtractor(linux, {
      root,
      at: isOurs ? "" : followed.slice(1),
      resolve: isOurs ? RESOLVE_BENEATH : RESOLVE_IN_ROOT,
      ...owner(options, isOurs),
    });
    const total = await send(engine, source, name, extractor.push);
    extractor.finish();
    return total;
  } finally {
    if (root !== tree.root) linux.close(root);
  }
}

function owner(options: CopyOptions, isOurs = false): { owner?: { uid: number; gid: number } } {
  if (options.archive) return {};
  return { owner: isOurs ? { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 } : { uid: 0, gid: 0 } };
}

async function send(engine: Engine, source: Found, name: string, to: (chunk: Uint8Array) => void): Promise<number> {
  const { linux } = engine.store;
  const fd = linux.openat2(source.tree.root, source.directory, {
    flags: O_RDONLY | O_DIRECTORY,
    resolve: RESOLVE_IN_ROOT,
  });
  let total = 0;
  try {
    for (const chunk of packTree(linux, fd, source.name, name)) {
      engine.signal.throwIfAborted();
      total += chunk.length;
      to(chunk);
    }
  } finally {
    linux.close(fd);
  }
  return total;
}

function explain(error: unknown): never {
  if (isErrno(error, "EROFS")) throw cannot("mounted volume is marked read-only", error);
  if (isErrno(error, "EXDEV")) throw cannot("a link leads out of the destination", error);
  if (isErrno(error, "ELOOP")) throw cannot("too many links", error);
  throw error;
}
