/** Path of fuse-overlayfs; null where it is not installed. */
export function fuseProgram(): string | null {
  return Bun.which("fuse-overlayfs", { PATH: process.env.PATH ?? "/usr/bin:/bin" });
}
