import { refreshContainer } from "../../engine/containers/containerState.ts";
import { hostPortText } from "../../engine/networks/networkPorts.ts";
import { runningNetwork } from "../../engine/networks/networkRecords.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { Command } from "../Command.ts";

export const command: Command = {
  usage: "CONTAINER [PORT[/PROTOCOL]]",
  summary: "Show which ports of the host lead to a container",
  example: "slipway port web 80",
  min: 1,
  max: 2,
  flags: {},
  async run(call) {
    const engine = await call.engine();
    const [name = "", wanted] = call.positionals;
    const { ports } = runningNetwork(refreshContainer(engine, engine.store.containers.find(name)));
    if (wanted === undefined) {
      const sorted = [...ports].sort((a, b) => a.port - b.port || a.protocol.localeCompare(b.protocol));
      for (const each of sorted) call.out(`${each.port}/${each.protocol} -> ${hostPortText(each)}\n`);
      return 0;
    }
    const [port, protocol = "tcp"] = wanted.split("/");
    if (!/^\d+$/.test(port ?? ""))
      throw new SlipwayError("USAGE", `invalid port ${JSON.stringify(wanted)}`, { hint: "For example 80 or 53/udp." });
    const found = ports.filter((each) => each.port === Number(port) && each.protocol === protocol);
    if (found.length === 0)
      throw new SlipwayError("PORT_NOT_FOUND", `No public port '${wanted}' published for ${name}`);
    for (const each of found) call.out(`${hostPortText(each)}\n`);
    return 0;
  },
};
