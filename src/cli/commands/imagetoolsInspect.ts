import type { Descriptor } from "../../oci/descriptor.ts";
import { type Command, flag, text } from "../Command.ts";
import { registryAccess, registryFlags } from "../registryFlags.ts";

export const command: Command = {
  usage: "[OPTIONS] NAME",
  summary: "Show what a registry has under a name, without downloading it",
  example: "slipway imagetools inspect alpine",
  min: 1,
  max: 1,
  flags: {
    format: { type: "string", help: "Go template over .Name, .Manifest and .Image" },
    raw: { type: "bool", help: "Print the manifest as the registry gives it" },
    ...registryFlags,
  },
  async run(call) {
    const [name = ""] = call.positionals;
    const { createPlaces, findConfig, findManifest } = await import("../../engine/images/imageIndexes.ts");
    const { formatFullPlatform } = await import("../../oci/platform.ts");
    const { isIndex, parseManifest } = await import("../../oci/parseManifest.ts");
    const { parseReference } = await import("../../oci/reference.ts");
    const reference = parseReference(name);
    const place = createPlaces(await call.engine(), registryAccess(call))(reference);
    const { bytes, descriptor, manifest } = await findManifest(place, reference);
    if (flag(call, "raw")) {
      call.out(Buffer.from(bytes).toString("utf8"));
      return 0;
    }
    const format = text(call, "format");
    if (format !== undefined) {
      const { compileTemplate } = await import("../render/template.ts");
      const value: Record<string, unknown> = { Name: reference.canonical, Manifest: { ...descriptor, ...manifest } };
      if (/\.Image\b|^\{\{\s*json \.\s*\}\}$/.test(format)) {
        const images: Record<string, unknown> = {};
        for (const each of isIndex(manifest) ? manifest.manifests : []) {
          if (each.platform === undefined || each.platform.os === "unknown") continue;
          const inner = parseManifest((await place.registry.manifest(place.path, each.digest)).bytes);
          if (!isIndex(inner)) images[formatFullPlatform(each.platform)] = await findConfig(place, inner);
        }
        value.Image = isIndex(manifest) ? images : await findConfig(place, manifest);
      }
      call.out(`${compileTemplate(format)(value)}\n`);
      return 0;
    }
    const rows = [
      ["Name:", reference.canonical],
      ["MediaType:", descriptor.mediaType],
      ["Digest:", descriptor.digest],
    ];
    for (const [left, right] of rows) call.out(`${left?.padEnd(11)}${right}\n`);
    if (!isIndex(manifest)) return 0;
    call.out("\nManifests:\n");
    const repository = `${reference.domain}/${reference.path}`;
    const shown = manifest.manifests.map((each) => entryText(repository, each, formatFullPlatform));
    call.out(shown.join("\n"));
    return 0;
  },
};

function entryText(
  repository: string,
  { mediaType, digest, platform, annotations }: Descriptor,
  format: (platform: NonNullable<Descriptor["platform"]>) => string,
): string {
  const rows = [
    ["Name:", `${repository}@${digest}`],
    ["MediaType:", mediaType],
    ...(platform === undefined ? [] : [["Platform:", format(platform)]]),
    ...(annotations === undefined ? [] : [["Annotations:", ""]]),
    ...Object.entries(annotations ?? {}).map(([key, value]) => [`  ${key}:`, value]),
  ];
  return rows.map(([left = "", right]) => `  ${left.padEnd(13)}${right}\n`.replace(/ +\n$/, "\n")).join("");
}
