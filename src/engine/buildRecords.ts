import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Digest } from "../oci/digest.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import type { Engine } from "./Engine.ts";
import type { EngineEvent } from "./events.ts";
import { buildIdentifiers, pruneBuilds } from "./prune/pruneBuilds.ts";

/** One step of a build, in the order in which they started. Times are milliseconds since the epoch. */
export interface RecordedStep {
  id: string;
  name: string;
  started: number;
  finished?: number;
  cached: boolean;
  /** Why it ran. */
  reason?: string;
  error?: string;
  /** Bytes of its log. */
  logSize: number;
}

export interface BuildRecord {
  id: string;
  status: "running" | "done" | "failed" | "canceled";
  started: number;
  finished?: number;
  context: string;
  dockerfile: string;
  target?: string;
  tags: string[];
  imageID?: Digest;
  error?: string;
  steps: RecordedStep[];
  warnings: string[];
}

export interface BuildRecorder {
  readonly id: string;
  /** Hears every event of the build. Logs go to the disk as they come, whole. */
  event(event: EngineEvent): void;
  /** Writes the record, once. */
  finish(outcome: { imageID: Digest } | { error: unknown; canceled: boolean }): void;
}

/** A build without log output touches the disk once; a log is written out in pieces of this size. */
const LOG_BUFFER = 64 * 1024;

/** `<root>/builds/<id>/`: `record.json`, written aside and renamed, and one `<step>.log` a step that printed something. */
export function startBuildRecord(
  engine: Engine,
  about: Pick<BuildRecord, "context" | "dockerfile" | "target" | "tags">,
): BuildRecorder {
  const started = Date.now();
  const id = `${started.toString(36)}${crypto.randomUUID().slice(0, 4)}`;
  const directory = join(engine.store.root, "builds", id);
  const record: BuildRecord = { id, status: "running", started, ...about, steps: [], warnings: [] };
  const steps = new Map<string, RecordedStep>();
  const pending = new Map<string, { chunks: Uint8Array[]; size: number }>();

  function flush(stepId: string): void {
    const waiting = pending.get(stepId);
    if (waiting === undefined || waiting.size === 0) return;
    pending.delete(stepId);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    appendFileSync(join(directory, `${stepId}.log`), Buffer.concat(waiting.chunks), { mode: 0o600 });
  }

  return {
    id,
    event(event) {
      switch (event.type) {
        case "step.start": {
          const step: RecordedStep = { id: event.id, name: event.name, started: event.time, cached: false, logSize: 0 };
          steps.set(event.id, step);
          record.steps.push(step);
          break;
        }
        case "step.log": {
          const step = steps.get(event.id);
          if (step !== undefined) step.logSize += event.data.length;
          const waiting = pending.get(event.id) ?? { chunks: [], size: 0 };
          pending.set(event.id, waiting);
          waiting.chunks.push(event.data);
          waiting.size += event.data.length;
          if (waiting.size >= LOG_BUFFER) flush(event.id);
          break;
        }
        case "step.done": {
          const step = steps.get(event.id);
          if (step === undefined) break;
          step.finished = event.time;
          step.cached = event.cached;
          if (event.reason !== undefined) step.reason = event.reason;
          flush(event.id);
          break;
        }
        case "step.error": {
          const step = steps.get(event.id);
          if (step === undefined) break;
          step.finished = event.time;
          step.error = event.message;
          flush(event.id);
          break;
        }
        case "warning":
          record.warnings.push(event.message);
      }
    },
    finish(outcome) {
      for (const stepId of [...pending.keys()]) flush(stepId);
      record.finished = Date.now();
      if ("imageID" in outcome) {
        record.status = "done";
        record.imageID = outcome.imageID;
      } else {
        record.status = outcome.canceled ? "canceled" : "failed";
        record.error = outcome.error instanceof Error ? outcome.error.message : String(outcome.error);
      }
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      const aside = join(directory, "record.json.part");
      writeFileSync(aside, JSON.stringify(record), { mode: 0o600 });
      renameSync(aside, join(directory, "record.json"));
      pruneBuilds(engine);
    },
  };
}

/** Newest first. A build that was killed has no record: its log files are left out here and go with their time. */
export function listBuilds(engine: Engine): BuildRecord[] {
  return buildIdentifiers(engine)
    .reverse()
    .flatMap((id) => {
      const file = join(engine.store.root, "builds", id, "record.json");
      return existsSync(file) ? [JSON.parse(readFileSync(file, "utf8")) as BuildRecord] : [];
    });
}

/** By id or a prefix of it; "" is the latest. @throws SlipwayError `BUILD_NOT_FOUND`, `AMBIGUOUS_ID` */
export function findBuild(engine: Engine, prefix: string): BuildRecord {
  const found = listBuilds(engine).filter((record) => record.id.startsWith(prefix));
  const [first] = found;
  if (first === undefined) {
    throw new SlipwayError("BUILD_NOT_FOUND", `no such build: ${prefix === "" ? "none is recorded" : prefix}`, {
      hint: "`slipway builds` lists the recorded builds.",
    });
  }
  if (prefix !== "" && found.length > 1) {
    throw new SlipwayError("AMBIGUOUS_ID", `more than one build begins with ${prefix}`);
  }
  return first;
}

/** The whole log of a step, by its number in the record (from 1), its id or a part of its name. @throws SlipwayError `STEP_NOT_FOUND` */
export function buildLog(engine: Engine, record: BuildRecord, step: string): Uint8Array {
  const found =
    record.steps.find((each, i) => each.id === step || String(i + 1) === step) ??
    record.steps.find((each) => each.name.includes(step));
  if (found === undefined) {
    throw new SlipwayError("STEP_NOT_FOUND", `build ${record.id} has no step ${JSON.stringify(step)}`, {
      hint: `\`slipway builds show ${record.id}\` lists its steps.`,
    });
  }
  const file = join(engine.store.root, "builds", record.id, `${found.id}.log`);
  return existsSync(file) ? readFileSync(file) : new Uint8Array(0);
}
