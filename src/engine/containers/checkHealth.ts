import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { ContainerRecord } from "../../store/Store.ts";
import { containerOptions } from "./ContainerOptions.ts";
import { isUp, refreshContainer } from "./containerState.ts";
import type { Engine } from "../Engine.ts";
import { recordContainerEvent } from "../events/eventLog.ts";
import { execContainer } from "./execContainer.ts";
import { type Health, healthOf, healthTest, writeHealth } from "./health.ts";

// Docker's, in nanoseconds.
const INTERVAL = 30e9;
const TIMEOUT = 30e9;
const START_INTERVAL = 5e9;
const RETRIES = 3;
const MAX_OUTPUT = 4096;
const MAX_LOG = 5;

/**
 * Runs the check once and records what it said; resolves with the seconds until the next. Undefined where the container has ended or was
 * started anew: `instance` is its `pid:start`. `first`: nothing is run yet.
 */
export async function checkHealth(
  engine: Engine,
  id: string,
  options: { instance?: string | undefined; first?: boolean } = {},
): Promise<number | undefined> {
  const stored = engine.store.containers.get(id);
  if (stored === undefined) return undefined;
  const record = refreshContainer(engine, stored);
  const isSame = options.instance === undefined || options.instance === `${record.pid}:${record.pidStart}`;
  const { config } = containerOptions(record);
  const test = healthTest(config);
  if (!isUp(record) || !isSame || test === undefined) return undefined;
  if (options.first !== true && record.status === "running") {
    const result = await runCheck(engine, record, test, (config.Healthcheck?.Timeout || TIMEOUT) / 1e6);
    const current = engine.store.containers.get(id);
    if (current === undefined || current.pid !== record.pid || current.pidStart !== record.pidStart) return undefined;
    recordResult(engine, current, result);
  }
  return seconds(engine, record);
}

/** Exit code of the check, as `healthcheck run` gives it. @throws SlipwayError `CONTAINER_NOT_RUNNING`, `NO_HEALTHCHECK` */
export async function runHealthcheck(engine: Engine, nameOrId: string): Promise<Health> {
  const record = engine.store.containers.find(nameOrId);
  if (healthTest(containerOptions(record).config) === undefined) {
    throw new SlipwayError("NO_HEALTHCHECK", `container ${record.name} has no health check`);
  }
  if ((await checkHealth(engine, record.id)) === undefined) {
    throw new SlipwayError("CONTAINER_NOT_RUNNING", `container ${record.name} is not running`);
  }
  return healthOf(engine, record) as Health;
}

function isStarting(record: ContainerRecord): boolean {
  const { Healthcheck } = containerOptions(record).config;
  return Date.now() - (record.started ?? 0) < (Healthcheck?.StartPeriod ?? 0) / 1e6;
}

function seconds(engine: Engine, record: ContainerRecord): number {
  const { Healthcheck } = containerOptions(record).config;
  const interval = Healthcheck?.Interval || INTERVAL;
  const early = healthOf(engine, record)?.Status === "starting" && isStarting(record);
  return (early ? Math.min(Healthcheck?.StartInterval || START_INTERVAL, interval) : interval) / 1e9;
}

interface CheckResult {
  start: number;
  exitCode: number;
  output: string;
}

async function runCheck(
  engine: Engine,
  record: ContainerRecord,
  command: string[],
  timeoutMs: number,
): Promise<CheckResult> {
  const start = Date.now();
  const chunks: Uint8Array[] = [];
  let length = 0;
  const keep = (bytes: Uint8Array): void => {
    if (length < MAX_OUTPUT) chunks.push(bytes.slice());
    length += bytes.length;
  };
  const output = (): string => {
    const text = Buffer.concat(chunks).subarray(0, MAX_OUTPUT).toString();
    return length > MAX_OUTPUT ? `${text}...` : text;
  };
  try {
    const exitCode = await execContainer(
      engine,
      record.id,
      { command, env: [], tty: false, interactive: false, privileged: false, detach: false, timeoutMs },
      { stdout: keep, stderr: keep },
    );
    return { start, exitCode, output: output() };
  } catch (error) {
    const timedOut = error instanceof SlipwayError && error.code === "EXEC_TIMEOUT";
    const said = timedOut
      ? `Health check exceeded timeout (${timeoutMs / 1000}s): ${output()}`
      : (error as Error).message;
    return { start, exitCode: -1, output: said };
  }
}

function recordResult(engine: Engine, record: ContainerRecord, result: CheckResult): void {
  const { Healthcheck } = containerOptions(record).config;
  const before = healthOf(engine, record) ?? { Status: "starting" as const, FailingStreak: 0, Log: [] };
  const entry = {
    Start: new Date(result.start).toISOString(),
    End: new Date().toISOString(),
    ExitCode: result.exitCode,
    Output: result.output,
  };
  const after: Health = { ...before, Log: [...before.Log, entry].slice(-MAX_LOG) };
  if (result.exitCode === 0) {
    after.FailingStreak = 0;
    after.Status = "healthy";
  } else if (before.Status !== "starting" || !isStarting(record)) {
    after.FailingStreak++;
    if (after.FailingStreak >= (Healthcheck?.Retries || RETRIES)) after.Status = "unhealthy";
  }
  writeHealth(engine, record.id, after);
  if (after.Status !== before.Status) recordContainerEvent(engine, record, `health_status: ${after.Status}`);
}
