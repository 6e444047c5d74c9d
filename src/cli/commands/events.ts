import { parseLogTime } from "../../engine/containers/logs.ts";
import type { StoreEvent } from "../../engine/events/eventLog.ts";
import { watchEvents } from "../../engine/events/watchEvents.ts";
import { type Command, given, list, text } from "../Command.ts";
import { rfc3339Nano } from "../render/rfc3339.ts";
import { filters } from "./images.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Show what happens to containers, images and volumes",
  example: "slipway events --since 10m --filter event=die",
  min: 0,
  max: 0,
  flags: {
    filter: { type: "list", short: "f", help: "container, event, image, label, network, type, volume =VALUE" },
    format: { type: "string", help: "json or a Go template" },
    since: { type: "string", help: "What has happened from this time on (a time, or 10m for ten minutes ago)" },
    until: { type: "string", help: "End with this time" },
  },
  async run(call) {
    const since = text(call, "since");
    const until = text(call, "until");
    const format = text(call, "format");
    const print =
      format === undefined
        ? line
        : format === "json" || format === "{{json .}}"
          ? (event: StoreEvent) =>
              `${JSON.stringify(docker(event)).slice(0, -1)},"time":${Math.floor(event.at / 1000)},"timeNano":${event.at}000000}`
          : await templated(format);
    const options = {
      filters: filters(list(call, "filter")),
      ...given("since", since === undefined ? undefined : parseLogTime(since)),
      ...given("until", until === undefined ? undefined : parseLogTime(until)),
    };
    await watchEvents(await call.engine(), options, (event) => call.out(`${print(event)}\n`));
    return 0;
  },
};

async function templated(format: string): Promise<(event: StoreEvent) => string> {
  const { compileTemplate } = await import("../render/template.ts");
  const template = compileTemplate(format);
  return (event) =>
    template({
      ...docker(event),
      Time: Math.floor(event.at / 1000),
      TimeNano: `${event.at}000000`,
      Scope: event.scope,
      ID: event.Actor.ID,
      From: event.Actor.Attributes.image ?? "",
      Status: event.Action,
    });
}

/** With the fields that Docker has had since before `Type` and `Actor`. */
function docker(event: StoreEvent): Record<string, unknown> {
  const { Type, Action, Actor } = event;
  const old = Type === "container" || Type === "image" ? { status: Action, id: Actor.ID } : {};
  const from = Type === "container" ? { from: Actor.Attributes.image } : {};
  return { ...old, ...from, Type, Action, Actor, scope: event.scope };
}

function line(event: StoreEvent): string {
  const { Type, Action, Actor, at } = event;
  const attributes = Object.entries(Actor.Attributes)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`)
    .join(", ");
  return `${rfc3339Nano(at)} ${Type} ${Action} ${Actor.ID} (${attributes})`;
}
