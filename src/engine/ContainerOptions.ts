import { hostname as hostHostname } from "node:os";
import type { ContainerConfig } from "../oci/config.ts";
import type { ContainerRecord } from "../store/Store.ts";
import type { CreateOptions } from "./Engine.ts";

/** What `createContainer` keeps in `ContainerRecord.options`. */
export interface ContainerOptions extends CreateOptions {
  /** The image's config with what `create` was told: what runs, and what a commit starts from. */
  config: ContainerConfig;
  /** Program and arguments: Entrypoint and Cmd. */
  args: string[];
  /** Empty files and directories in the writable layer that are there only to be mounted on. */
  stubs?: { path: string; directory: boolean }[];
  /** Directories under `volumes/` that go with the container (`rm -v`, `--rm`). */
  anonymousVolumes: string[];
  mounts: ContainerMount[];
}

/** A volume or directory of the host in the container. */
export interface ContainerMount {
  type: "bind" | "volume";
  /** Absolute path on the host. */
  source: string;
  target: string;
  readOnly: boolean;
  /** Of a volume. */
  name?: string;
}

export function containerOptions(record: ContainerRecord): ContainerOptions {
  return record.options as ContainerOptions;
}

/** Docker's: what was given, the host's with the host's network asked for by name, the short ID. */
export function containerHostname(record: ContainerRecord, options: ContainerOptions): string {
  return options.hostname ?? (options.network === "host" ? hostHostname() : record.id.slice(0, 12));
}
