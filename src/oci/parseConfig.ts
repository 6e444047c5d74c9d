import type { ImageConfig } from "./config.ts";
import { isDigest } from "./digest.ts";
import { configFault, layoutFault } from "./faults.ts";
import { SlipwayError } from "./SlipwayError.ts";

/**
 * Reads an image's config and checks the types of all that is relied on, and that its layers are named by digests that can be verified.
 * `name` is the image's, for the error.
 * @throws SlipwayError `INVALID_IMAGE`
 */
export function parseConfig(bytes: Uint8Array, name: string): ImageConfig {
  const config = readJson(bytes, `the config of ${name}`);
  const fault = configFault(config);
  if (fault !== undefined) throw invalid(`the config of ${name} is not valid: ${fault}`);
  const strange = (config as ImageConfig).rootfs.diff_ids.find((diffID) => !isDigest(diffID));
  if (strange !== undefined) throw invalid(`the config of ${name} has a layer of an unknown algorithm: ${strange}`);
  return config as ImageConfig;
}

/** Reads the `oci-layout` file of an image layout. @throws SlipwayError `INVALID_IMAGE` */
export function parseLayout(bytes: Uint8Array): { imageLayoutVersion: "1.0.0" } {
  const layout = readJson(bytes, "oci-layout");
  const fault = layoutFault(layout);
  if (fault !== undefined) throw invalid(`oci-layout is not valid: ${fault}`);
  return layout as { imageLayoutVersion: "1.0.0" };
}

function readJson(bytes: Uint8Array, what: string): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch (cause) {
    throw new SlipwayError("INVALID_IMAGE", `${what} is not JSON`, { cause });
  }
}

function invalid(message: string): SlipwayError {
  return new SlipwayError("INVALID_IMAGE", message);
}
