import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { CreateOptions } from "../Engine.ts";
import { parseDetachKeys } from "./detachKeys.ts";
import { checkNamespaceModes } from "./namespaceModes.ts";

/** What of `RunSettings` can be known to be wrong before anything is made. @throws SlipwayError `INVALID_OPTION` */
export function checkSettings(options: CreateOptions): void {
  checkNamespaceModes(options);
  for (const option of options.securityOpt) checkSecurityOption(option, options);
  for (const entry of options.tmpfs) checkTmpfs(entry);
  checkLog(options);
  if (options.detachKeys !== undefined) parseDetachKeys(options.detachKeys);
  if (options.utsMode === "host" && options.hostname !== undefined)
    throw invalid("conflicting options: hostname and the UTS mode");
  for (const name of Object.keys(options.sysctls ?? {})) {
    if (!/^(kernel\.(msg[a-z]*|sem|shm[a-z_]*|domainname)|fs\.mqueue\..+|net\..+)$/.test(name)) {
      throw invalid(
        `sysctl '${name}' is not allowed`,
        "Those of the container's own namespaces are: kernel.msg*, kernel.sem, kernel.shm*, fs.mqueue.*, net.*.",
      );
    }
    if (name.startsWith("net.") && options.network === "host")
      throw invalid(`sysctl '${name}' not allowed in host network namespace`);
    if (/^kernel\.(msg|sem|shm)/.test(name) && options.ipcMode === "host")
      throw invalid(`sysctl '${name}' not allowed in host ipc namespace`);
  }
}

function checkSecurityOption(option: string, options: CreateOptions): void {
  if (/^seccomp[=:]unconfined$|^no-new-privileges([=:](true|false))?$|^label[=:]|^apparmor[=:]./.test(option)) return;
  if (/^systempaths=unconfined$/.test(option)) return;
  if (/^seccomp[=:]./.test(option) && options.seccompProfile !== undefined) return;
  throw invalid(
    `--security-opt ${JSON.stringify(option)} is not supported`,
    "There are seccomp=unconfined|FILE, no-new-privileges, apparmor=PROFILE, label=disable and systempaths=unconfined.",
  );
}

const TMPFS_FLAGS =
  /^(rw|ro|exec|noexec|suid|nosuid|dev|nodev|sync|async|dirsync|atime|noatime|diratime|nodiratime|relatime|strictatime|mand|nomand|r?private|r?shared|r?slave|r?unbindable|size=\d+[kmgKMG%]?|mode=[0-7]{1,4}|uid=\d+|gid=\d+|nr_inodes=\d+[kmgKMG]?|nr_blocks=\d+[kmgKMG]?|mpol=.+)$/;

function checkTmpfs(entry: string): void {
  const colon = entry.indexOf(":");
  const path = colon < 0 ? entry : entry.slice(0, colon);
  if (!path.startsWith("/") || path.split("/").every((part) => part === "" || part === ".")) {
    throw invalid(`invalid mount path: ${JSON.stringify(path)}: mount path must be absolute and not the root`);
  }
  for (const option of colon < 0 ? [] : entry.slice(colon + 1).split(",")) {
    if (option !== "" && !TMPFS_FLAGS.test(option)) throw invalid(`invalid tmpfs option ${JSON.stringify(option)}`);
  }
}

const LOG_OPTIONS = ["max-size", "max-file", "labels", "env", "tag", "mode", "compress"];

function checkLog({ log }: CreateOptions): void {
  if (log === undefined) return;
  if (!["json-file", "local", "none"].includes(log.driver)) {
    throw invalid(
      `logger: no log driver named '${log.driver}' is registered`,
      "There are json-file, local and none; the log is a file beside the container either way.",
    );
  }
  for (const [name, value] of Object.entries(log.options)) {
    const isValid =
      LOG_OPTIONS.includes(name) &&
      log.driver !== "none" &&
      (name !== "max-size" || (/^\d+[kmg]?b?$/i.test(value) && Number.parseInt(value, 10) > 0) || value === "-1") &&
      (name !== "max-file" || /^[1-9]\d*$/.test(value)) &&
      (name !== "mode" || value === "blocking") &&
      (name !== "compress" || value === "false");
    if (!isValid) throw invalid(`invalid log opt '${name}=${value}' for ${log.driver} log driver`);
  }
  if (
    log.options["max-file"] !== undefined &&
    Number(log.options["max-file"]) > 1 &&
    log.options["max-size"] === undefined
  )
    throw invalid("log opt max-file is of no use without max-size");
}

function invalid(message: string, hint?: string): SlipwayError {
  return new SlipwayError("INVALID_OPTION", message, { exitCode: 125, ...(hint === undefined ? {} : { hint }) });
}
