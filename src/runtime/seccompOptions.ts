/** Digest of the profiles that `defaultSeccomp` makes, which names filters that were compiled of them. A test says so when it is out of date. */
export const DEFAULT_PROFILE = "1a18a658062fca03";

export interface SeccompOptions {
  /** `process.arch`. */
  arch: string;
  capabilities: string[];
  /**
   * False where no device cgroup guards the container: mknod(2) then makes only devices that such a cgroup would let it open,
   * so that CAP_MKNOD is no way to the host's disks.
   */
  deviceCgroup: boolean;
}
