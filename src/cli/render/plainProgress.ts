import type { EngineEvent } from "../../engine/events.ts";
import { becauseLines } from "./changeLines.ts";
import { humanSize } from "./humanSize.ts";
import { lineSplitter, oneLine } from "./lineSplitter.ts";
import { createLogTail, type LogTail } from "./logTail.ts";

export interface Progress {
  event(event: EngineEvent): void;
  /** Writes what is still open; after a failure, the failing step's log again. */
  finish(): void;
}

interface Vertex {
  number: number;
  name: string;
  started: number;
  lines(stream: 1 | 2, data: Uint8Array, time: number): void;
  /** What is left without an end of line. */
  flush(time: number): void;
}

/** Lines that are shown again under a failed step. */
const TAIL = { lines: 200, characters: 1 << 20 };

/** `--progress plain`: one line an event, each step's lines under its number, in BuildKit's manner. Logs are whole. `explain` says why a step ran. */
export function createPlainProgress(write: (text: string) => void, options: { explain: boolean }): Progress {
  const vertices = new Map<string, Vertex>();
  const logs = new Map<string, LogTail>();
  let count = 0;
  let failed: { id: string; message: string } | undefined;
  let last: number | undefined;

  function say(vertex: Vertex, text: string): void {
    // A blank line where the talk goes over to another step.
    if (last !== undefined && last !== vertex.number) write("\n");
    last = vertex.number;
    write(`#${vertex.number} ${text}\n`);
  }

  function begin(id: string, shown: string, time: number): void {
    const name = oneLine(shown);
    const number = ++count;
    const splitters = new Map<1 | 2, ReturnType<typeof lineSplitter>>();
    const vertex: Vertex = {
      number,
      name,
      started: time,
      lines(stream, data, at) {
        let splitter = splitters.get(stream);
        if (splitter === undefined) {
          splitter = lineSplitter();
          splitters.set(stream, splitter);
        }
        log(id, vertex, splitter.push(data), at);
      },
      flush(at) {
        for (const splitter of splitters.values()) {
          const rest = splitter.rest();
          if (rest !== "") log(id, vertex, [rest], at);
        }
      },
    };
    vertices.set(id, vertex);
    say(vertex, name);
  }

  /** Lines that came together are written together: a write for each would hold the step up. */
  function log(id: string, vertex: Vertex, lines: readonly string[], time: number): void {
    if (lines.length === 0) return;
    const mark = `${((time - vertex.started) / 1000).toFixed(3)} `;
    say(vertex, mark + lines.join(`\n#${vertex.number} ${mark}`));
    const kept = logs.get(id) ?? createLogTail(TAIL);
    logs.set(id, kept);
    kept.push(lines.slice(-TAIL.lines));
  }

  return {
    event(event) {
      if (event.type === "step.start") {
        begin(event.id, event.name, event.time);
        return;
      }
      if (
        event.type !== "step.log" &&
        event.type !== "step.status" &&
        event.type !== "step.done" &&
        event.type !== "step.error"
      )
        return;
      const vertex = vertices.get(event.id);
      if (vertex === undefined) return;
      switch (event.type) {
        case "step.log":
          vertex.lines(event.stream, event.data, event.time);
          break;
        case "step.status":
          if (event.done !== true) break;
          say(vertex, `${oneLine(event.text)}${event.total === undefined ? "" : ` ${humanSize(event.total)}`} done`);
          break;
        case "step.done":
          vertex.flush(event.time);
          logs.delete(event.id);
          if (event.cached) say(vertex, "CACHED");
          else {
            if (options.explain) for (const line of becauseLines(event)) say(vertex, line);
            say(vertex, `DONE ${((event.time - vertex.started) / 1000).toFixed(1)}s`);
          }
          break;
        case "step.error":
          vertex.flush(event.time);
          say(vertex, event.canceled === true ? "CANCELED" : `ERROR: ${oneLine(event.message)}`);
          if (event.canceled !== true) failed ??= { id: event.id, message: event.message };
      }
    },
    finish() {
      if (failed === undefined) return;
      const vertex = vertices.get(failed.id);
      if (vertex === undefined) return;
      write(`------\n > ${vertex.name}:\n`);
      for (const line of logs.get(failed.id)?.last(TAIL.lines) ?? []) write(`${line}\n`);
      write("------\n");
    },
  };
}
