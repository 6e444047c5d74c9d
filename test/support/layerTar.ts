import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { packLayer } from "../../src/layer/packLayer.ts";
import { tarHeader } from "../../src/layer/tarHeader.ts";
import type { TarEntry } from "../../src/layer/tarReader.ts";
import { createUnpacker, type UnpackedLayer } from "../../src/layer/unpackLayer.ts";
import { MOUNT_ATTR_RDONLY } from "../../src/linux/constants.ts";
import type { Linux } from "../../src/linux/Linux.ts";

export type MadeEntry = Partial<TarEntry> & { path: string; content?: string | Uint8Array };

/** A tar of these entries; what an entry does not say is that of an ordinary file of root. */
export function makeTar(entries: MadeEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const { content = "", ...entry } of entries) {
    const bytes = Buffer.from(content);
    const header = tarHeader({
      type: "file",
      mode: entry.type === "directory" ? 0o755 : 0o644,
      uid: 0,
      gid: 0,
      mtime: { sec: 1_000_000_000, nsec: 0 },
      linkname: "",
      major: 0,
      minor: 0,
      xattrs: [],
      ...entry,
      size: bytes.length,
    });
    parts.push(header, bytes, new Uint8Array((512 - (bytes.length % 512)) % 512));
  }
  parts.push(new Uint8Array(1024));
  return Buffer.concat(parts);
}

/** Unpacks in pieces of an odd size, which cross every boundary there is. */
export function unpackTar(
  linux: Linux,
  directory: string,
  bytes: Uint8Array,
  options: { lowerPaths?: string[]; whiteouts?: "literal" } = {},
): UnpackedLayer {
  const unpacker = createUnpacker(linux, { directory, ...options });
  try {
    for (let at = 0; at < bytes.length; at += 333) unpacker.push(bytes.subarray(at, at + 333));
  } catch (error) {
    unpacker.abort();
    throw error;
  }
  return unpacker.finish();
}

export function packTree(linux: Linux, directory: string): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (const piece of packLayer(linux, directory)) pieces.push(piece.slice());
  return Buffer.concat(pieces);
}

export function freshDirectory(parent: string): string {
  return mkdtempSync(join(parent, "layer-"));
}

/** The kernel's own view of layers in overlayfs form, lowest first: a path to look at while `work` runs. */
export function withOverlay<T>(linux: Linux, layers: string[], work: (path: string) => T): T {
  const fsfd = linux.fsopen("overlay");
  let mount: number;
  try {
    for (const layer of layers.toReversed()) linux.fsconfigString(fsfd, "lowerdir+", layer);
    linux.fsconfigCreate(fsfd);
    mount = linux.fsmount(fsfd, MOUNT_ATTR_RDONLY);
  } finally {
    linux.close(fsfd);
  }
  try {
    return work(`/proc/self/fd/${mount}`);
  } finally {
    linux.close(mount);
  }
}
