import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { ContainerRecord } from "../../store/Store.ts";
import { containerOptions } from "./ContainerOptions.ts";
import { refreshContainer } from "./containerState.ts";
import type { Engine } from "../Engine.ts";
import type { RunSettings } from "./RunSettings.ts";

/** @throws SlipwayError `INVALID_OPTION` for a mode that is none. */
export function checkNamespaceModes(settings: RunSettings): void {
  const { pidMode = "", ipcMode = "", utsMode = "", cgroupnsMode = "", usernsMode = "" } = settings;
  const isOther = /^container:.+/;
  if (!["", "host", "private"].includes(pidMode) && !isOther.test(pidMode)) fail("pid", pidMode);
  if (!["", "host", "private", "shareable", "none"].includes(ipcMode) && !isOther.test(ipcMode)) fail("ipc", ipcMode);
  if (!["", "host", "private"].includes(utsMode)) fail("uts", utsMode);
  if (!["", "host", "private"].includes(cgroupnsMode)) fail("cgroupns", cgroupnsMode);
  if (!["", "host"].includes(usernsMode)) {
    throw new SlipwayError("INVALID_OPTION", `--userns ${JSON.stringify(usernsMode)} is not supported`, {
      hint: "Containers of root are in the host's user namespace: `host`.",
      exitCode: 125,
    });
  }
}

function fail(flag: string, mode: string): never {
  throw new SlipwayError("INVALID_OPTION", `--${flag}: invalid ${flag.toUpperCase()} mode ${JSON.stringify(mode)}`, {
    exitCode: 125,
  });
}

/** The running container that `container:NAME` is of. @throws SlipwayError `CONTAINER_NOT_RUNNING`, `CONTAINER_NOT_FOUND`, `INVALID_OPTION` */
export function joinedContainer(engine: Engine, mode: string, kind: "pid" | "ipc"): ContainerRecord | undefined {
  if (!mode.startsWith("container:")) return undefined;
  const record = refreshContainer(engine, engine.store.containers.find(mode.slice("container:".length)));
  if (record.status !== "running" && record.status !== "paused") {
    throw new SlipwayError(
      "CONTAINER_NOT_RUNNING",
      `cannot join the ${kind} namespace of ${record.name}: it is not running`,
      {
        exitCode: 125,
      },
    );
  }
  if (kind === "ipc") {
    const theirs = containerOptions(record).ipcMode ?? "private";
    if (theirs !== "shareable" && theirs !== "host") {
      throw new SlipwayError("INVALID_OPTION", `cannot join IPC of container ${record.name}: non-shareable IPC`, {
        hint: `Start that one with --ipc shareable.`,
        exitCode: 125,
      });
    }
  }
  return record;
}
