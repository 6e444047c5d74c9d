import type { Flag } from "../flags.ts";

/** Taken, and nothing has to be done for it: what is said is so here anyway, or concerns how kaniko itself works. */
const nothingToDo = (why: string, type: Flag["type"] = "bool"): Flag => ({ type, help: `Accepted: ${why}` });
const refused = (why: string): Flag => ({ type: "string", help: "", unsupported: why });

const BUCKETS =
  "buckets are not read by their own protocols: give the archive as an https:// URL, or on standard input by --context=tar://stdin";

/** The flags of kaniko's executor, its last release's. docs/kaniko.md has them as a table. */
export const kanikoFlags: Record<string, Flag> = {
  context: {
    type: "string",
    short: "c",
    help: "dir://PATH, PATH, tar://FILE, tar://stdin, git://HOST/REPOSITORY[#REF[#COMMIT]], https://… (default: /workspace/)",
  },
  "context-sub-path": { type: "string", help: "Directory of the context that is built from" },
  dockerfile: { type: "string", short: "f", help: "A file here, or in the context, or a URL (default: Dockerfile)" },
  destination: { type: "list", short: "d", help: "Name under which the image is pushed (may be repeated)" },
  "build-arg": { type: "list", help: "Value of an ARG, NAME=VALUE; NAME alone takes it from the environment" },
  label: { type: "list", help: "Label of the image, KEY=VALUE" },
  target: { type: "string", help: "Stage to build (default: the last)" },
  "custom-platform": { type: "string", help: "Platform of the image, os/architecture" },
  git: { type: "string", help: "branch=,single-branch=,recurse-submodules=,insecure-skip-tls= of a git context" },
  "no-push": { type: "bool", help: "Push no image ($KANIKO_NO_PUSH); what is cached is pushed" },
  "tar-path": { type: "string", help: "File that gets the image as docker-archive" },
  "oci-layout-path": { type: "string", help: "Directory that gets the image as OCI layout" },
  "digest-file": { type: "string", help: "File that gets the digest of the image's manifest" },
  "image-name-with-digest-file": { type: "string", help: "File that gets NAME@DIGEST, a line for each destination" },
  "image-name-tag-with-digest-file": { type: "string", help: "File that gets NAME:TAG@DIGEST, a line for each" },
  cache: { type: "bool", help: "Take steps from the cache, and push it; without it every step runs" },
  "cache-repo": { type: "string", help: "Repository of the cache, or oci:DIRECTORY (default: DESTINATION/cache)" },
  "cache-ttl": { type: "string", help: "How long a cached step counts, as 6h (default: 336h)" },
  "cache-run-layers": { type: "bool", help: "false: no step is cached, as nothing is without RUN" },
  "cache-copy-layers": nothingToDo("steps that copy are always cached"),
  "cache-dir": nothingToDo("base images come from the store and the registry", "string"),
  "compressed-caching": { type: "bool", help: "false: what is cached is pushed without compression" },
  "no-push-cache": { type: "bool", help: "Read the cache and push none" },
  compression: { type: "string", help: "gzip or zstd" },
  "compression-level": { type: "int", help: "0 to 9 of gzip, 1 to 22 of zstd" },
  "single-snapshot": { type: "bool", help: "Make one layer of all that the build adds to its base image" },
  reproducible: { type: "bool", help: "All times are 1970, as by SOURCE_DATE_EPOCH=0" },
  "snapshot-mode": { type: "string", help: "full, redo or time: accepted, what was written is known without a search" },
  insecure: { type: "bool", help: "Push to registries that speak plain http" },
  "insecure-pull": { type: "bool", help: "Pull from registries that speak plain http" },
  "insecure-registry": { type: "list", help: "A registry that may speak plain http (may be repeated)" },
  "skip-tls-verify": { type: "bool", help: "Push to registries with any certificate" },
  "skip-tls-verify-pull": { type: "bool", help: "Pull from registries with any certificate" },
  "skip-tls-verify-registry": { type: "list", help: "A registry that may show any certificate (may be repeated)" },
  "registry-mirror": {
    type: "list",
    help: "HOST[/PATH] that is asked before docker.io (may be repeated; $KANIKO_REGISTRY_MIRROR)",
  },
  "registry-map": { type: "list", help: "REGISTRY=HOST[/PATH][;…]: asked before that registry ($KANIKO_REGISTRY_MAP)" },
  "skip-default-registry-fallback": { type: "bool", help: "What no mirror has is not there" },
  "registry-certificate": { type: "list", help: "REGISTRY=FILE: certificate of an authority for that registry" },
  "registry-client-cert": { type: "list", help: "REGISTRY=CERTIFICATE,KEY: what is shown to that registry" },
  verbosity: { type: "string", short: "v", help: "panic, fatal, error, warn, info, debug or trace (default: info)" },
  "log-format": { type: "string", help: "text, color or json" },
  "log-timestamp": nothingToDo("each line has the seconds since its step began"),
  "ignore-path": { type: "list", help: "Accepted with a warning: only what the steps write is in the image" },
  "ignore-var-run": nothingToDo("nothing of the tool's own container is in the image"),
  "push-retry": nothingToDo("registries are asked again by themselves", "int"),
  "image-download-retry": nothingToDo("registries are asked again by themselves", "int"),
  "image-fs-extract-retry": nothingToDo("layers are unpacked once and kept", "int"),
  "skip-push-permission-check": nothingToDo("the registry is asked for leave when it is pushed to"),
  "skip-unused-stages": nothingToDo("stages that the target does not need are never built"),
  "force-build-metadata": nothingToDo("all metadata is always there"),
  "use-new-run": nothingToDo("what was written is known without a search"),
  cleanup: nothingToDo("the root file system is never the build's"),
  force: nothingToDo("it does no harm outside of a container"),
  "kaniko-dir": nothingToDo("the store is where --root says", "string"),
  "credential-helpers": nothingToDo("the helpers are those that config.json names", "list"),
  bucket: { ...refused(BUCKETS), short: "b" },
  "upload-tar": refused("write it by --tar-path and upload it then"),
  "upload-tar-retry": refused("write the archive by --tar-path and upload it then"),
  "push-ignore-immutable-tag-errors": refused("a push that a registry refuses is an error"),
  // Its old names.
  snapshotMode: { type: "string", help: "Old name of --snapshot-mode" },
  customPlatform: { type: "string", help: "Old name of --custom-platform" },
  tarPath: { type: "string", help: "Old name of --tar-path" },
  "whitelist-var-run": nothingToDo("old name of --ignore-var-run"),
};

/** Why a context of a kind that kaniko has and slipway has not is refused. */
export const BUCKET_HINT = BUCKETS;
