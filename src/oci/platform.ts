/** image-spec, image-index.md "platform". Empty parts are absent. */
export interface Platform {
  os: string;
  architecture: string;
  variant?: string;
  "os.version"?: string;
  "os.features"?: string[];
}
