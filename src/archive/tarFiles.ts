import { AT_FDCWD, O_RDONLY } from "../linux/constants.ts";
import type { Linux } from "../linux/Linux.ts";
import { cleanPath, parentPath } from "../layer/entryPath.ts";
import { type Pax, paxRecords } from "../layer/paxRecords.ts";
import { checkSum, cString, entryOf, sizeOf, sparseMapOf } from "../layer/tarEntry.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import type { ArchiveFiles } from "./archiveFiles.ts";
import { rangeStream } from "./rangeStream.ts";

const BLOCK = 512;
/** Extended headers are held in memory: far more than any real one. */
const MAX_EXTENDED = 1024 * 1024;
/** An archive of images has a few files a layer. */
const MAX_ENTRIES = 100_000;
/** As the kernel follows. */
const MAX_LINKS = 40;

type Place = { start: number; size: number } | { link: string };

/**
 * An uncompressed tar file, indexed by its headers: file contents are read when they are asked for. Of two entries with one name the last counts.
 * @throws SlipwayError `BAD_ARCHIVE`, `TRUNCATED_ARCHIVE`
 */
export function openTarFiles(linux: Linux, path: string, name: string): ArchiveFiles {
  const fd = linux.openat(AT_FDCWD, path, O_RDONLY);
  let places: Map<string, Place>;
  try {
    places = indexTar(linux, fd);
  } catch (error) {
    linux.close(fd);
    throw error;
  }

  function find(wanted: string): { start: number; size: number } | undefined {
    let place = places.get(cleanPath(wanted));
    for (let links = 0; place !== undefined && "link" in place; links++) {
      if (links === MAX_LINKS) return undefined;
      place = places.get(place.link);
    }
    return place;
  }

  return {
    name,
    size: (wanted) => find(wanted)?.size,
    stream(wanted) {
      const place = find(wanted);
      if (place === undefined) throw new Error(`${name} holds no ${wanted}`);
      return rangeStream(linux, fd, place);
    },
    close: () => linux.close(fd),
  };
}

function indexTar(linux: Linux, fd: number): Map<string, Place> {
  const places = new Map<string, Place>();
  const total = linux.statat(fd, "").size;
  const header = new Uint8Array(BLOCK);
  const global: Pax = new Map();
  let local: Pax = new Map();
  let longName: string | undefined;
  let longLink: string | undefined;
  for (let at = 0; at + BLOCK <= total; ) {
    readAll(linux, fd, header, at);
    if (header.every((byte) => byte === 0)) return places;
    checkSum(header);
    const type = String.fromCharCode(header[156] as number);
    const size = sizeOf(header, type, local, global);
    const start = at + BLOCK;
    at = start + Math.ceil(size / BLOCK) * BLOCK;
    if (start + size > total) throw new SlipwayError("TRUNCATED_ARCHIVE", "the archive ends in the middle of a file");
    if ("xgLK".includes(type)) {
      if (size > MAX_EXTENDED)
        throw new SlipwayError("BAD_ARCHIVE", `not a valid tar archive: an extended header of ${size} bytes`);
      const bytes = new Uint8Array(size);
      readAll(linux, fd, bytes, start);
      if (type === "L") longName = cString(bytes, 0, bytes.length);
      else if (type === "K") longLink = cString(bytes, 0, bytes.length);
      else for (const [key, value] of paxRecords(bytes)) (type === "g" ? global : local).set(key, value);
      continue;
    }
    const sparse = sparseMapOf(header, type, local) !== undefined;
    const entry = entryOf(header, type, size, { longName, longLink, local, global, sparse });
    longName = longLink = undefined;
    local = new Map();
    const path = cleanPath(entry.path);
    if (sparse) throw new SlipwayError("UNSUPPORTED_ENTRY", `${JSON.stringify(entry.path)} is a sparse file`);
    if (entry.type === "file") places.set(path, { start, size });
    else if (entry.type === "hardlink") places.set(path, { link: cleanPath(entry.linkname) });
    else if (entry.type === "symlink")
      places.set(path, {
        link: cleanPath(entry.linkname.startsWith("/") ? entry.linkname : `${parentPath(path)}/${entry.linkname}`),
      });
    if (entry.type !== "file") at = start;
    if (places.size > MAX_ENTRIES)
      throw new SlipwayError("INVALID_ARCHIVE", `an archive of images with more than ${MAX_ENTRIES} files`);
  }
  return places;
}

function readAll(linux: Linux, fd: number, into: Uint8Array, offset: number): void {
  for (let done = 0; done < into.length; ) {
    const count = linux.pread(fd, into.subarray(done), offset + done);
    if (count === 0) throw new SlipwayError("TRUNCATED_ARCHIVE", "the archive ends in the middle of an entry");
    done += count;
  }
}
