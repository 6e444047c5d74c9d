import { existsSync } from "node:fs";

const busybox = { names: ["busybox-static"], files: ["/var/lib/dpkg/info/busybox-static.list"] };

/**
 * What slipway needs of the system, by Debian's package names. A package counts as present when one of `files` is there, so that a runtime
 * from another source than apt is as good.
 */
const packages = {
  run: [
    { names: ["crun", "runc"], files: ["crun", "runc"].flatMap(program) },
    { names: ["conmon"], files: ["/usr/libexec/podman/conmon", "/usr/lib/podman/conmon", ...program("conmon")] },
    { names: ["ca-certificates"], files: ["/etc/ssl/certs/ca-certificates.crt"] },
  ],
  // A base image where Docker Hub is out of reach.
  base: [busybox],
  // A registry of another maker, and the base image for it.
  registry: [{ names: ["docker-registry"], files: program("docker-registry") }, busybox],
  test: [
    // Of use to everybody who makes networks; not every release of Ubuntu has it.
    {
      names: ["aardvark-dns"],
      files: ["/usr/libexec/podman/aardvark-dns", "/usr/lib/podman/aardvark-dns", ...program("aardvark-dns")],
    },
    // What a plain user needs; slirp4netns beside pasta, which is too old before Debian 13.
    { names: ["uidmap"], files: program("newuidmap") },
    { names: ["passt"], files: program("pasta") },
    { names: ["slirp4netns"], files: program("slirp4netns") },
    { names: ["fuse-overlayfs"], files: program("fuse-overlayfs") },
    { names: ["iproute2"], files: program("ip") },
    { names: ["git"], files: program("git") },
    { names: ["skopeo"], files: program("skopeo") },
    { names: ["umoci"], files: program("umoci") },
    { names: ["mmdebstrap"], files: program("mmdebstrap") },
    { names: ["debian-archive-keyring"], files: ["/usr/share/keyrings/debian-archive-keyring.gpg"] },
    { names: ["xz-utils"], files: program("xz") },
    { names: ["bzip2"], files: program("bzip2") },
    { names: ["zstd"], files: program("zstd") },
    { names: ["tar"], files: program("tar") },
  ],
};

/**
 * Names to ask apt for, first choices first: one list of alternatives per missing thing.
 * @param {("run" | "base" | "registry" | "test")[]} groups
 * @returns {string[][]}
 */
export function missingPackages(groups, exists = existsSync) {
  return groups
    .flatMap((group) => packages[group])
    .filter(({ files }) => !files.some((file) => exists(file)))
    .map(({ names }) => names);
}

function program(name) {
  return ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(
    (folder) => `${folder}/${name}`,
  );
}
