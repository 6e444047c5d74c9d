import type { Compression } from "../../layer/compressLayer.ts";
import { type Call, type Command, flag, given, number, text } from "../Command.ts";
import { registryAccess, registryFlags } from "../registryFlags.ts";
import { isTerminal } from "../isTerminal.ts";

export const command: Command = {
  usage: "[OPTIONS] NAME[:TAG]",
  summary: "Upload an image to a registry",
  example: "slipway push registry.example.com/team/app:1.0",
  min: 1,
  max: 1,
  flags: {
    "all-tags": { type: "bool", short: "a", help: "Push all tags of the repository that are here" },
    quiet: { type: "bool", short: "q", help: "Print the name alone" },
    platform: { type: "string", help: "Push the image for this platform alone, os/architecture" },
    compression: { type: "string", help: "gzip, zstd or uncompressed: layers are compressed anew where they are not" },
    "compression-format": { type: "string", help: "The same as --compression" },
    "compression-level": { type: "int", help: "Level of the compression" },
    "force-compression": {
      type: "bool",
      help: "With --compression: also the layers of pulled images (default true)",
    },
    "disable-content-trust": { type: "bool", help: "Accepted: images are not signed" },
    ...registryFlags,
  },
  async run(call) {
    const [name = ""] = call.positionals;
    const quiet = flag(call, "quiet");
    const allTags = flag(call, "all-tags");
    const { createPushProgress } = await import("../render/pushProgress.ts");
    const { terminalSize } = await import("../render/terminalSize.ts");
    const { normalizeReference } = await import("../../oci/reference.ts");
    const { domain, path, tag } = normalizeReference(name);
    const progress = createPushProgress({
      write: quiet ? () => {} : call.out,
      ...(!quiet && isTerminal(1, call.linux()) ? { size: terminalSize(1, call.linux()) } : {}),
    });
    if (!quiet && !allTags && tag === undefined && !name.includes("@")) call.out("Using default tag: latest\n");
    const engine = await call.engine((event) => progress.event(event));
    const { push } = await import("../../engine/images/push.ts");
    try {
      await push(engine, name, {
        allTags,
        ...(await compression(call)),
        ...given("platform", text(call, "platform")),
        ...registryAccess(call),
      });
    } finally {
      progress.finish();
    }
    if (quiet) call.out(`${domain}/${path}${allTags ? "" : `:${tag ?? "latest"}`}\n`);
    return 0;
  },
};

/** As podman: who asks for a compression wants it for all layers. */
async function compression(call: Call): Promise<{ form?: { compression: Compression; force: boolean } }> {
  const format = text(call, "compression") ?? text(call, "compression-format");
  const level = number(call, "compression-level");
  if (format === undefined && level === undefined) return {};
  const { parseCompression } = await import("../../layer/compressLayer.ts");
  return {
    form: {
      compression: parseCompression(format ?? "gzip", level === undefined ? undefined : String(level)),
      force: call.values["force-compression"] !== false,
    },
  };
}
