import { basename } from "node:path";
import { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY, S_IFDIR, S_IFMT } from "../../linux/constants.ts";
import type { Timespec } from "../../linux/Linux.ts";
import type { Digest } from "../../oci/digest.ts";
import type { CopyStep } from "../../plan/graph.ts";
import type { StepOutcome } from "../cachedStep.ts";
import { located } from "../located.ts";
import type { SolveContext } from "../SolveContext.ts";
import { copyArchive } from "./copyArchive.ts";
import { type CopyAttributes, createNodeCopier } from "./copyNode.ts";
import type { CopySource } from "./findSources.ts";
import type { LayerWriter, Owner } from "./layerWriter.ts";
import { lookupOwner } from "./owner.ts";
import { withLayerWriter } from "./withLayerWriter.ts";

export interface CopyWork {
  step: CopyStep;
  base: Digest[];
  sources: CopySource[];
  inline: { name: string; content: string }[];
  mode: ((mode: number, directory: boolean) => number) | undefined;
}

const ROOT: Owner = { uid: 0, gid: 0 };

/** Writes the layer of one COPY or ADD into a directory of its own. */
export async function writeCopies(context: SolveContext, work: CopyWork): Promise<StepOutcome> {
  const { linux } = context;
  let changed = false;
  const { link, name } = work.step;
  const why = link
    ? `${name} looks up the name of --chown in it`
    : `${name} goes where the links and directories in it lead; COPY --link needs nothing of it`;
  try {
    // --link: of what lies below, only the names of --chown are looked up.
    const upper = await withLayerWriter(context, work.base, { link, why }, async (writer, lowerFd) => {
      const owner = work.step.chown === undefined ? undefined : lookupOwner(linux, lowerFd, work.step.chown);
      const now = timeOfWork(context);
      const attributes: CopyAttributes = {
        ...(owner === undefined ? {} : { owner }),
        ...(work.mode === undefined ? {} : { mode: work.mode }),
      };
      for (const source of work.sources) {
        context.signal.throwIfAborted();
        if (source.extract && (await copyArchive(context, source, writer, work.step.dest, attributes))) continue;
        const { selection } = source;
        const selected: CopyAttributes = {
          ...attributes,
          ...(selection === undefined ? {} : { selection }),
          // When a context was checked out, or an answer was sent, is by chance.
          ...(context.epoch !== undefined && source.tree.rootOwned ? { time: now } : {}),
        };
        changed = copyOne(context, source, writer, work.step.dest, selected, now) || changed;
      }
      for (const file of work.inline) inlineFile(context, file, writer, work, owner ?? ROOT, now);
    });
    return { upper, keep: !changed };
  } catch (error) {
    throw located(error, work.step);
  }
}

/** Returns whether a file changed while it was read. */
function copyOne(
  context: SolveContext,
  source: CopySource,
  writer: LayerWriter,
  dest: string,
  attributes: CopyAttributes,
  now: Timespec,
): boolean {
  const copier = createNodeCopier(context.linux, source.tree, writer, attributes);
  const owner = attributes.owner ?? ROOT;
  const directory = source.node.isDirectory;
  writer.mkdirAll(dest.endsWith("/") ? dest : parentOf(dest), owner, now);
  const target = writer.resolve(dest, true);
  const isDirectory = target.stat !== undefined && (target.stat.mode & S_IFMT) === S_IFDIR;
  if (directory) {
    const fresh = target.stat === undefined;
    const to = writer.mkdirAll(target.path, owner, fresh ? (attributes.time ?? mtimeOf(source)) : now);
    copier.copy(source.node, to, true);
  } else {
    const to = isDirectory ? writer.resolve(`${target.path}/${basename(source.path)}`, false).path : target.path;
    writer.mkdirAll(parentOf(to), owner, now);
    copier.copy(source.node, to, false);
  }
  return copier.changed();
}

function inlineFile(
  context: SolveContext,
  file: { name: string; content: string },
  writer: LayerWriter,
  work: CopyWork,
  owner: Owner,
  now: Timespec,
): void {
  const { linux } = context;
  const { dest } = work.step;
  writer.mkdirAll(dest.endsWith("/") ? dest : parentOf(dest), owner, now);
  const target = writer.resolve(dest, true);
  const into = target.stat !== undefined && (target.stat.mode & S_IFMT) === S_IFDIR;
  const to = into ? writer.resolve(`${target.path}/${file.name}`, true).path : target.path;
  writer.makeRoom(to);
  const parent = writer.directory(parentOf(to));
  const fd = linux.openat(parent, basename(to), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    linux.write(fd, Buffer.from(file.content));
    linux.fchownat(fd, "", owner.uid, owner.gid);
    linux.fchmod(fd, work.mode === undefined ? 0o644 : work.mode(0o644, false));
    linux.utimensat(fd, "", now);
  } finally {
    linux.close(fd);
  }
}

/** A directory that COPY makes for a directory takes the source's time, an existing one keeps its own. */
function mtimeOf({ node }: CopySource): Timespec {
  return { sec: node.stat.mtimeSec, nsec: node.stat.mtimeNsec };
}

function parentOf(path: string): string {
  const trimmed = path.replace(/\/+$/, "");
  return trimmed.slice(0, Math.max(0, trimmed.lastIndexOf("/")));
}

/** What is made by the builder itself is of this time. */
export function timeOfWork({ epoch }: SolveContext): Timespec {
  return epoch === undefined ? timespec(Date.now()) : { sec: epoch, nsec: 0 };
}

export function timespec(milliseconds: number): Timespec {
  const sec = Math.floor(milliseconds / 1000);
  return { sec, nsec: Math.round((milliseconds - sec * 1000) * 1e6) };
}
