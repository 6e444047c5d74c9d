import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Digest } from "../../oci/digest.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { Step } from "../../plan/graph.ts";
import type { MissChange } from "../../solve/explain/explainMiss.ts";
import type { Engine } from "../Engine.ts";
import type { EngineEvent } from "../events.ts";
import { buildIdentifiers, pruneBuilds } from "../prune/pruneBuilds.ts";

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
  /** Id of the step whose file system it stands on. */
  below?: string;
  /** What it put on that; for a base image, all of its layers. */
  layers?: Digest[];
  /** How a RUN's process ran. */
  process?: { env: string[]; cwd: string; user: string };
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
  /** What is to be built: so that the record can say what each step stands on. */
  graph(steps: readonly Step[]): void;
  /** Hears every event of the build. Logs go to the disk as they come, whole. */
  event(event: EngineEvent): void;
  /** Writes the record, once. */
  finish(outcome: { imageID: Digest } | { error: unknown; canceled: boolean }): void;
}

/** A build without log output touches the disk once; a log is written out in pieces of this size. */
const LOG_BUFFER = 64 * 1024;

/** `<root>/builds/<id>/`: `record.json`, written aside and renamed, and one `<step>.log` a step that printed something; `changes.json` where a step ran that had run before. */
export function startBuildRecord(
  engine: Engine,
  about: Pick<BuildRecord, "context" | "dockerfile" | "target" | "tags">,
): BuildRecorder {
  const started = Date.now();
  const id = `${started.toString(36)}${crypto.randomUUID().slice(0, 4)}`;
  const directory = join(engine.store.root, "builds", id);
  const record: BuildRecord = { id, status: "running", started, ...about, steps: [], warnings: [] };
  const steps = new Map<string, RecordedStep>();
  const changes: Record<string, MissChange[]> = {};
  let planned = new Map<string, Step>();
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
    graph(all) {
      planned = new Map(all.map((step) => [step.id, step]));
    },
    event(event) {
      switch (event.type) {
        case "step.start": {
          const step: RecordedStep = { id: event.id, name: event.name, started: event.time, cached: false, logSize: 0 };
          const again = steps.get(event.id); // an imported cache has broken its promise
          if (again !== undefined) record.steps.splice(record.steps.indexOf(again), 1);
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
          if (event.layer !== undefined) step.layers = [event.layer];
          if (event.reason !== undefined) step.reason = event.reason;
          if (event.changes !== undefined && event.changes.length > 0) changes[event.id] = event.changes;
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
      for (const step of record.steps) Object.assign(step, standing(planned.get(step.id)));
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      // Apart: who lists builds reads no list of files.
      if (Object.keys(changes).length > 0)
        writeFileSync(join(directory, "changes.json"), JSON.stringify(changes), { mode: 0o600 });
      const aside = join(directory, "record.json.part");
      writeFileSync(aside, JSON.stringify(record), { mode: 0o600 });
      renameSync(aside, join(directory, "record.json"));
      pruneBuilds(engine);
    },
  };
}

function standing(step: Step | undefined): Pick<RecordedStep, "below" | "layers" | "process"> {
  if (step?.kind === "image") return { layers: step.layers };
  if (step === undefined || !("base" in step)) return {};
  return {
    ...(step.base === undefined ? {} : { below: step.base }),
    ...(step.kind === "run" ? { process: { env: step.env, cwd: step.cwd, user: step.user } } : {}),
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

/** By its number in the record (from 1), its id or a part of its name. @throws SlipwayError `STEP_NOT_FOUND` */
export function findStep(record: BuildRecord, step: string): RecordedStep {
  const found =
    record.steps.find((each, i) => each.id === step || String(i + 1) === step) ??
    record.steps.find((each) => each.name.includes(step));
  if (found === undefined) {
    throw new SlipwayError("STEP_NOT_FOUND", `build ${record.id} has no step ${JSON.stringify(step)}`, {
      hint: `\`slipway builds show ${record.id}\` lists its steps.`,
    });
  }
  return found;
}

/** What changed since the build before, by the id of the step that therefore ran: every part and every file. */
export function buildChanges(engine: Engine, record: BuildRecord): Record<string, MissChange[]> {
  const file = join(engine.store.root, "builds", record.id, "changes.json");
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Record<string, MissChange[]>) : {};
}

/** The whole log of a step of the record, in pieces: it may be larger than memory. */
export function* buildLog(engine: Engine, record: BuildRecord, step: RecordedStep): Generator<Uint8Array> {
  const file = join(engine.store.root, "builds", record.id, `${step.id}.log`);
  if (!existsSync(file)) return; // it printed nothing
  const fd = openSync(file, "r");
  try {
    for (;;) {
      const piece = new Uint8Array(LOG_BUFFER);
      const length = readSync(fd, piece);
      if (length === 0) return;
      yield piece.subarray(0, length);
    }
  } finally {
    closeSync(fd);
  }
}

/** How a step of a build that has ended came out. */
export function outcomeOf(step: RecordedStep): "done" | "cached" | "failed" | "canceled" {
  if (step.error !== undefined) return "failed";
  if (step.finished === undefined) return "canceled";
  return step.cached ? "cached" : "done";
}
