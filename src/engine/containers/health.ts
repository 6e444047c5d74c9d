import { readFileSync, renameSync, writeFileSync } from "node:fs";
import type { ContainerConfig } from "../../oci/config.ts";
import type { ContainerRecord } from "../../store/Store.ts";
import { containerOptions } from "./ContainerOptions.ts";
import type { Engine } from "../Engine.ts";

/** Docker's `State.Health`. */
export interface Health {
  Status: "starting" | "healthy" | "unhealthy";
  /** Failures in a row. */
  FailingStreak: number;
  /** The latest results, oldest first. */
  Log: { Start: string; End: string; ExitCode: number; Output: string }[];
}

/** What is to be run; undefined where there is no check. */
export function healthTest(config: ContainerConfig): string[] | undefined {
  const [kind, ...rest] = config.Healthcheck?.Test ?? [];
  if (kind === "CMD") return rest.length === 0 ? undefined : rest;
  if (kind !== "CMD-SHELL") return undefined;
  const shell = config.Shell ?? ["/bin/sh", "-c"];
  return [...shell, rest.join(" ")];
}

/** What the last check said; undefined where there is no check, and where the container does not run. */
export function healthOf(engine: Engine, record: ContainerRecord): Health | undefined {
  if (healthTest(containerOptions(record).config) === undefined) return undefined;
  try {
    return JSON.parse(readFileSync(healthFile(engine, record.id), "utf8")) as Health;
  } catch {
    return undefined; // never started
  }
}

export function writeHealth(engine: Engine, id: string, health: Health): void {
  const path = healthFile(engine, id);
  writeFileSync(`${path}.new`, JSON.stringify(health));
  renameSync(`${path}.new`, path);
}

function healthFile(engine: Engine, id: string): string {
  return `${engine.store.containers.directory(id)}/health.json`;
}
