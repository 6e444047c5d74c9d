import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { StoreEvent } from "./eventLog.ts";

/** Docker's filters of events: values of one key are alternatives, keys hold together. @throws SlipwayError `USAGE` for a key that is none */
export function containerMatches(event: StoreEvent, filters: Record<string, string[]>): boolean {
  return Object.entries(filters).every(([key, values]) => values.some((value) => holds(event, key, value)));
}

function holds(event: StoreEvent, key: string, value: string): boolean {
  const { Type, Action, Actor } = event;
  const isActor = (type: string): boolean =>
    Type === type && (Actor.ID === value || Actor.ID.startsWith(value) || Actor.Attributes.name === value);
  switch (key) {
    case "type":
      return Type === value;
    case "event":
      // `exec_start` finds `exec_start: sh`.
      return Action === value || Action.startsWith(`${value}:`);
    case "container":
    case "volume":
    case "network":
      return isActor(key);
    case "image": {
      const image = Type === "image" ? (Actor.Attributes.name ?? Actor.ID) : Actor.Attributes.image;
      return image === value || image === `${value}:latest` || (Type === "image" && Actor.ID === value);
    }
    case "label": {
      const equals = value.indexOf("=");
      const name = equals < 0 ? value : value.slice(0, equals);
      return name in Actor.Attributes && (equals < 0 || Actor.Attributes[name] === value.slice(equals + 1));
    }
    case "scope":
      return value === "local";
    case "daemon":
      return false;
    default:
      throw new SlipwayError("USAGE", `invalid filter '${key}'`, {
        hint: "Events are filtered by container, event, image, label, network, scope, type and volume.",
      });
  }
}
