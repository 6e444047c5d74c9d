import { SlipwayError } from "../oci/SlipwayError.ts";

/** The files of an archive that images lie in: a directory or a tar. Paths are relative, without `.` and `..`. */
export interface ArchiveFiles {
  /** As the user named it. */
  readonly name: string;
  /** Bytes of the regular file, links followed inside of the archive; undefined where there is none. */
  size(path: string): number | undefined;
  /** Not verified. */
  stream(path: string): ReadableStream<Uint8Array>;
  close(): void;
}

/** The whole small file. @throws SlipwayError `INVALID_ARCHIVE` where it is not there or larger than `limit` */
export async function readSmall(files: ArchiveFiles, path: string, limit: number): Promise<Uint8Array> {
  const size = files.size(path);
  if (size === undefined) throw new SlipwayError("INVALID_ARCHIVE", `${files.name} holds no ${path}`);
  if (size > limit) throw new SlipwayError("INVALID_ARCHIVE", `${path} of ${files.name} is larger than ${limit} bytes`);
  return new Response(files.stream(path)).bytes();
}
