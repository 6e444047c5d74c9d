export interface TarEntry {
  /** Without leading `/`, up to 99 bytes. */
  path: string;
  mode?: number;
  content?: Uint8Array | string;
  /** Makes a symbolic link. */
  link?: string;
  directory?: boolean;
}
/** A POSIX ustar archive of small entries, owned by root, dated at the epoch: equal entries make equal bytes. */
export function writeTar(entries: TarEntry[]): Uint8Array;
