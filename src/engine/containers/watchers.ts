import { existsSync } from "node:fs";
import { processStart } from "../../linux/processStart.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { ContainerRecord } from "../../store/Store.ts";
import { containerFiles } from "./containerFiles.ts";
import { containerOptions } from "./ContainerOptions.ts";
import type { Engine } from "../Engine.ts";
import { healthTest, writeHealth } from "./health.ts";
import { rotationScript } from "./logFiles.ts";
import { selfCommand, selfEnvironment } from "../../runtime/selfCommand.ts";

/**
 * Starts what looks after a container while it runs: its health check and its log's rotation. Each is a shell of about a megabyte that sleeps
 * most of the time, and ends by itself when the container has ended. Returns the record with them in it.
 */
export function startWatchers(engine: Engine, record: ContainerRecord): ContainerRecord {
  const options = containerOptions(record);
  const { containers } = engine.store;
  const files = containerFiles(containers.directory(record.id), record.id);
  const watchers: { pid: number; start: number }[] = [];
  const add = (script: string, ...args: string[]): void => {
    const pid = spawnShell(engine, script, args);
    watchers.push({ pid, start: processStart(pid) ?? 0 });
  };
  const rotation = rotationScript(options);
  if (rotation !== undefined) add(rotation, files.log, files.control, String(record.conmonPid));
  if (healthTest(options.config) !== undefined) {
    writeHealth(engine, record.id, { Status: "starting", FailingStreak: 0, Log: [] });
    // Each check says how long to wait for the next, and fails when the container has ended.
    const check = selfCommand(["container", "check", record.id, `${record.pid}:${record.pidStart}`]);
    add('wait=$("$@" --first) || exit; while sleep "$wait"; do wait=$("$@") || exit; done', ...check);
  }
  return watchers.length === 0 ? record : containers.update(record.id, { watchers });
}

function spawnShell(engine: Engine, script: string, args: string[]): number {
  if (!existsSync("/bin/sh")) {
    throw new SlipwayError("SHELL_MISSING", "health checks and rotated logs need /bin/sh on this host", {
      exitCode: 125,
    });
  }
  const { spawn } = require("node:child_process") as typeof import("node:child_process");
  // `detached`: a session of its own, so that no terminal's hangup ends it, and one signal reaches its `sleep`, too.
  const child = spawn("/bin/sh", ["-c", script, "slipway-watch", ...args], {
    detached: true,
    stdio: "ignore",
    env: selfEnvironment(engine.store.root),
    cwd: "/",
  });
  child.unref();
  return child.pid as number;
}
