import { checkContainerName } from "./containerNames.ts";
import { refreshContainer } from "./containerState.ts";
import type { Engine } from "../Engine.ts";
import { recordContainerEvent } from "../events/eventLog.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";

/** @throws SlipwayError `NAME_IN_USE`, `INVALID_NAME`, `CONTAINER_NOT_FOUND` */
export function renameContainer(engine: Engine, nameOrId: string, name: string): void {
  const { containers } = engine.store;
  const record = refreshContainer(engine, containers.find(nameOrId));
  const wanted = name.replace(/^\//, "");
  checkContainerName(wanted);
  if (wanted === record.name) {
    throw new SlipwayError("INVALID_NAME", "renaming a container with the same name as its current name");
  }
  const renamed = containers.update(record.id, { name: wanted });
  recordContainerEvent(engine, renamed, "rename", { attributes: { oldName: `/${record.name}` } });
}
