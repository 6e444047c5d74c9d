import { SlipwayError } from "../../oci/SlipwayError.ts";
import { type Command, flag, given, text } from "../Command.ts";
import { registryAccess, registryFlags } from "../registryFlags.ts";
import { isTerminal } from "../isTerminal.ts";

export const command: Command = {
  usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
  summary: "Download an image from a registry",
  example: "slipway pull alpine:3.20",
  min: 1,
  max: 1,
  flags: {
    quiet: { type: "bool", short: "q", help: "Print the name alone" },
    platform: { type: "string", help: "Platform, os/architecture (default: this machine's)" },
    "all-platforms": { type: "bool", help: "All that the name stands for, of whatever platform" },
    ...registryFlags,
    "all-tags": { type: "bool", short: "a", help: "Pull all tags of the repository" },
  },
  async run(call) {
    const [name = ""] = call.positionals;
    const quiet = flag(call, "quiet");
    const { createPullProgress } = await import("../render/pullProgress.ts");
    const { terminalSize } = await import("../render/terminalSize.ts");
    const progress = createPullProgress({
      write: quiet ? () => {} : call.out,
      ...(!quiet && isTerminal(1, call.linux()) ? { size: terminalSize(1, call.linux()) } : {}),
    });
    const { parseReference, familiarName } = await import("../../oci/reference.ts");
    const reference = parseReference(name);
    const allTags = flag(call, "all-tags");
    if (allTags && /[:@][^/]*$/.test(name)) throw new SlipwayError("USAGE", "tag can't be used with --all-tags/-a");
    if (!quiet && !allTags && !name.includes("@") && reference.tag === "latest" && !/:latest$/.test(name))
      call.out("Using default tag: latest\n");
    const engine = await call.engine((event) => progress.event(event));
    const { pull, tagsOf } = await import("../../engine/images/pull.ts");
    const allPlatforms = flag(call, "all-platforms");
    if (allPlatforms && text(call, "platform") !== undefined)
      throw new SlipwayError("USAGE", "--platform and --all-platforms exclude each other");
    const options = { ...given("platform", text(call, "platform")), allPlatforms, ...registryAccess(call) };
    const names = allTags ? (await tagsOf(engine, reference, options)).map((tag) => `${name}:${tag}`) : [name];
    for (const each of names) {
      const result = await pull(engine, each, options);
      progress.finish();
      const familiar = familiarName(result.reference);
      if (!quiet) {
        call.out(`Digest: ${result.digest}\n`);
        call.out(`Status: ${result.updated ? "Downloaded newer image" : "Image is up to date"} for ${familiar}\n`);
      }
      if (!allTags) call.out(`${result.reference}\n`);
    }
    if (allTags) call.out(`${reference.domain}/${reference.path}\n`);
    return 0;
  },
};
