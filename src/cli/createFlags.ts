import type { CreateOptions } from "../engine/Engine.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { type Call, flag, given, keyValue, list, number, text } from "./Command.ts";
import { readEntries } from "./envFile.ts";
import type { Flag } from "./flags.ts";
import { settingFlags, settingsOf } from "./settingFlags.ts";
import { bytes } from "./sizes.ts";
import { networkFlags, networkOptions } from "./networkFlags.ts";

/** Flags of `run` and `create`. */
export const createFlags: Record<string, Flag> = {
  interactive: { type: "bool", short: "i", help: "Keep standard input open" },
  tty: { type: "bool", short: "t", help: "Give the process a terminal" },
  rm: { type: "bool", help: "Remove the container when it ends" },
  name: { type: "string", help: "Name of the container" },
  env: { type: "list", short: "e", help: "Environment variable, NAME=VALUE; NAME alone takes it from here" },
  "env-file": { type: "list", help: "File of environment variables, a line each" },
  volume: { type: "list", short: "v", help: "Directory or volume: HOST:CONTAINER[:ro], NAME:CONTAINER, CONTAINER" },
  workdir: { type: "string", short: "w", help: "Working directory" },
  user: { type: "string", short: "u", help: "User, name or number, with :group" },
  entrypoint: { type: "string", help: "Replaces the image's ENTRYPOINT" },
  label: { type: "list", short: "l", help: "Label, KEY=VALUE" },
  "read-only": { type: "bool", help: "Mount the container's root read-only" },
  privileged: { type: "bool", help: "All capabilities, all devices, no seccomp" },
  "cap-add": { type: "list", help: "Capability to add" },
  "cap-drop": { type: "list", help: "Capability to drop" },
  "security-opt": { type: "list", help: "seccomp=unconfined|FILE, no-new-privileges, apparmor=PROFILE" },
  tmpfs: { type: "list", help: "Directory in memory, PATH[:OPTIONS]" },
  "shm-size": { type: "string", help: "Size of /dev/shm" },
  init: { type: "bool", help: "Run a small init as the first process" },
  pull: { type: "string", help: "missing, always or never" },
  platform: { type: "string", help: "Platform of the image, os/architecture" },
  "stop-signal": { type: "string", help: "Signal that stop sends" },
  "stop-timeout": { type: "int", help: "Seconds until stop kills" },
  cidfile: { type: "string", help: "File that gets the container ID" },
  ...networkFlags,
  ...settingFlags,
};

/** @throws SlipwayError `USAGE` */
export function createOptions(call: Call): CreateOptions {
  const [image = "", ...command] = call.positionals;
  const entrypoint = text(call, "entrypoint");
  const pull = text(call, "pull") ?? "missing";
  if (pull !== "missing" && pull !== "always" && pull !== "never") {
    throw new SlipwayError("USAGE", `--pull ${pull} is not known`, {
      hint: "It takes missing, always or never.",
      exitCode: 125,
    });
  }
  const shmSize = text(call, "shm-size");
  return {
    image,
    command,
    env: [...list(call, "env-file").flatMap((path) => readEntries(path, "--env-file")), ...list(call, "env")].flatMap(
      envEntry,
    ),
    tty: flag(call, "tty"),
    interactive: flag(call, "interactive"),
    autoRemove: flag(call, "rm"),
    ...networkOptions(call),
    readOnly: flag(call, "read-only"),
    privileged: flag(call, "privileged"),
    capAdd: list(call, "cap-add"),
    capDrop: list(call, "cap-drop"),
    volumes: list(call, "volume"),
    labels: Object.fromEntries(
      [...list(call, "label-file").flatMap((path) => readEntries(path, "--label-file")), ...list(call, "label")].map(
        keyValue,
      ),
    ),
    init: flag(call, "init"),
    pull,
    securityOpt: list(call, "security-opt"),
    ...settingsOf(call),
    tmpfs: list(call, "tmpfs"),
    ...given("name", text(call, "name")),
    ...given("workdir", text(call, "workdir")),
    ...given("user", text(call, "user")),
    ...given("platform", text(call, "platform")),
    ...given("stopSignal", text(call, "stop-signal")),
    ...given("stopTimeout", number(call, "stop-timeout")),
    ...given("entrypoint", entrypoint === undefined ? undefined : entrypoint === "" ? [] : [entrypoint]),
    ...given("shmSize", shmSize === undefined ? undefined : bytes(shmSize)),
  };
}

/** `NAME` alone is passed on from here when it is set, and left out otherwise. */
export function envEntry(entry: string): string[] {
  if (entry.startsWith("="))
    throw new SlipwayError("USAGE", `invalid environment variable: ${entry}`, {
      hint: "It is NAME=VALUE.",
      exitCode: 125,
    });
  if (entry.includes("=")) return [entry];
  const value = process.env[entry];
  return value === undefined ? [] : [`${entry}=${value}`];
}

export { bytes };
