import { SlipwayError } from "../../oci/SlipwayError.ts";

/** Docker's rule. */
export const VOLUME_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

export interface VolumeFlag {
  /** Absolute path on the host, or a volume's name; none: a volume of the container's own. */
  source?: string;
  target: string;
  readOnly: boolean;
  propagation?: string;
  noCopy?: boolean;
}

const PROPAGATIONS = ["rprivate", "private", "rslave", "slave", "rshared", "shared"];

/** One `-v`: `host:container[:options]`, `name:container[:options]`, `container`. @throws SlipwayError `INVALID_VOLUME` */
export function parseVolume(text: string): VolumeFlag {
  const fail = (why: string): never => {
    throw new SlipwayError("INVALID_VOLUME", `invalid volume specification: ${JSON.stringify(text)}: ${why}`, {
      hint: "It is HOST_DIRECTORY:CONTAINER_PATH[:ro], VOLUME_NAME:CONTAINER_PATH[:ro] or CONTAINER_PATH.",
      exitCode: 125,
    });
  };
  const parts = text.split(":");
  if (parts.length > 3 || parts.includes("")) fail("it has an empty part or too many");
  const source = parts.length > 1 ? parts[0] : undefined;
  const target = (parts.length > 1 ? parts[1] : parts[0]) as string;
  const found: VolumeFlag = { target: cleanTarget(target), readOnly: false };
  for (const option of parts[2]?.split(",") ?? []) {
    if (option === "ro") found.readOnly = true;
    else if (PROPAGATIONS.includes(option)) found.propagation = option;
    else if (option === "nocopy" || option === "volume-nocopy") found.noCopy = true;
    else if (!["rw", "z", "Z", "cached", "delegated", "consistent"].includes(option)) fail(`unknown option ${option}`);
  }
  if (!target.startsWith("/")) fail("the path in the container must be absolute");
  if (found.target === "/") fail("the path in the container cannot be its root");
  if (source !== undefined && !source.startsWith("/") && !VOLUME_NAME.test(source)) {
    fail(
      "a volume's name has at least two of the characters [a-zA-Z0-9_.-]; a host directory is given by its absolute path",
    );
  }
  return { ...(source === undefined ? {} : { source: source === "/" ? "/" : source.replace(/\/+$/, "") }), ...found };
}

/** An absolute path without `.`, `..` and double slashes, so that no place is named outside of the root, nor twice by two names. */
export function cleanTarget(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}
