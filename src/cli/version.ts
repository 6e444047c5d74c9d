import manifest from "../../package.json" with { type: "json" };

export const version: string = manifest.version;

export function versionLine(): string {
  return `slipway version ${version}`;
}
