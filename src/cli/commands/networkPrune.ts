import { createInterface } from "node:readline";
import { pruneNetworks } from "../../engine/networks.ts";
import { type Command, flag, list } from "../Command.ts";
import { filters } from "./images.ts";
import { matchesNetwork } from "./networkLs.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Remove all networks that no running container is in",
  example: "slipway network prune -f",
  min: 0,
  max: 0,
  flags: {
    force: { type: "bool", short: "f", help: "Do not ask" },
    filter: { type: "list", help: "until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]" },
  },
  async run(call) {
    const wanted = filters(list(call, "filter"));
    if (!flag(call, "force")) {
      call.out("WARNING! This will remove all custom networks not used by at least one container.\n");
      call.out("Are you sure you want to continue? [y/N] ");
      if (!/^y(es)?$/i.test(await answer())) return 0;
    }
    const engine = await call.engine();
    const names = pruneNetworks(engine, (record) => !matchesNetwork(record, wanted, () => false));
    if (names.length > 0) call.out(`Deleted Networks:\n${names.join("\n")}\n\n`);
    return 0;
  },
};

async function answer(): Promise<string> {
  const lines = createInterface({ input: process.stdin });
  for await (const line of lines) {
    lines.close();
    return line.trim();
  }
  return "";
}
