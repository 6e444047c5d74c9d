import { hostHostname } from "../../runtime/hostHostname.ts";
import type { ContainerConfig } from "../../oci/config.ts";
import type { Digest } from "../../oci/digest.ts";
import type { ContainerRecord } from "../../store/Store.ts";
import type { CreateOptions } from "../Engine.ts";

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

/** A volume, directory of the host, image or memory in the container. */
export interface ContainerMount {
  type: "bind" | "volume" | "tmpfs" | "image";
  /** Absolute path on the host; the ID of an image; "" for memory. */
  source: string;
  target: string;
  readOnly: boolean;
  /** Of a volume, or what an image was named by. */
  name?: string;
  /** Inside the volume or image. */
  subpath?: string;
  /** Further options as the runtime takes them; of a `bind`, all but the access. */
  mountOptions?: string[];
  /** Of an image. */
  layers?: Digest[];
}

export function containerOptions(record: ContainerRecord): ContainerOptions {
  return record.options as ContainerOptions;
}

/** Docker's: what was given, the host's with the host's network asked for by name, the short ID. */
export function containerHostname(record: ContainerRecord, options: ContainerOptions): string {
  return options.hostname ?? (options.network === "host" ? hostHostname() : record.id.slice(0, 12));
}
