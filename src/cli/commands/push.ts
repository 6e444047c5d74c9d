import { type Command, flag, given, text } from "../Command.ts";
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
    platform: { type: "string", help: "Fail unless the image is for this platform, os/architecture" },
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
    const { push } = await import("../../engine/push.ts");
    try {
      await push(engine, name, { allTags, ...given("platform", text(call, "platform")), ...registryAccess(call) });
    } finally {
      progress.finish();
    }
    if (quiet) call.out(`${domain}/${path}${allTags ? "" : `:${tag ?? "latest"}`}\n`);
    return 0;
  },
};
