import type { Command } from "../Command.ts";
import { forEach } from "../forEach.ts";

export const command: Command = {
  usage: "MANIFEST_LIST [MANIFEST_LIST...]",
  summary: "Forget manifest lists",
  example: "slipway manifest rm registry.example.com/app:1",
  min: 1,
  flags: {},
  async run(call) {
    const { removeManifestList } = await import("../../engine/images/manifestLists.ts");
    const engine = await call.engine();
    return forEach(call, async (name) => removeManifestList(engine, name));
  },
};
