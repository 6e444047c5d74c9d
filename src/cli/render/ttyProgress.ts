import type { EngineEvent } from "../../engine/events.ts";
import { humanSize } from "./humanSize.ts";
import { lineSplitter } from "./lineSplitter.ts";
import type { Progress } from "./plainProgress.ts";

interface Vertex {
  name: string;
  started: number;
  finished?: number;
  state: "running" | "done" | "cached" | "error" | "canceled";
  statuses: Map<string, { text: string; current?: number; total?: number; done: boolean }>;
  tail: string[];
  all: string[];
  splitters: Map<number, ReturnType<typeof lineSplitter>>;
  reason?: string;
}

export interface TtyOptions {
  write(text: string): void;
  /** Asked anew for each drawing: terminals are resized. */
  size(): { rows: number; columns: number };
  color: boolean;
}

/** Drawings per second are bounded: a terminal over a slow line must keep up. */
const INTERVAL_MS = 100;
const TAIL_LINES = 6;
/** Lines of a failed step that are shown in the end; the build record has the whole log. */
const FAILURE_LINES = 1000;

/** `--progress tty`: the steps drawn over and over in place, with timers, the last lines of what runs, and colours unless NO_COLOR. */
export function createTtyProgress(options: TtyOptions): Progress {
  const vertices = new Map<string, Vertex>();
  const begun = Date.now();
  let drawn = 0;
  let timer: ReturnType<typeof setInterval> | undefined;
  let failed: Vertex | undefined;
  const paint = (code: number, text: string): string => (options.color ? `\x1b[${code}m${text}\x1b[0m` : text);

  function lines(now: number, whole: boolean): string[] {
    const { rows, columns } = options.size();
    const width = Math.max(20, columns - 1);
    const done = [...vertices.values()].filter((vertex) => vertex.state !== "running").length;
    const head = `[+] Building ${((now - begun) / 1000).toFixed(1)}s (${done}/${vertices.size})${whole ? (failed === undefined ? " FINISHED" : " ERROR") : ""}`;
    const out: string[] = [fit(head, width)];
    for (const vertex of vertices.values()) {
      const seconds = `${(((vertex.finished ?? now) - vertex.started) / 1000).toFixed(1)}s`;
      const mark =
        vertex.state === "cached"
          ? " => CACHED "
          : vertex.state === "error"
            ? " => ERROR "
            : vertex.state === "canceled"
              ? " => CANCELED "
              : " => ";
      const text = columnsOf(`${mark}${vertex.name}`, seconds, width);
      out.push(
        vertex.state === "running"
          ? text
          : paint(vertex.state === "error" ? 31 : vertex.state === "canceled" ? 33 : 34, text),
      );
      if (vertex.state !== "running") continue;
      for (const status of vertex.statuses.values()) {
        if (status.done) continue;
        const amount =
          status.total === undefined ? "" : `${humanSize(status.current ?? 0)} / ${humanSize(status.total)}`;
        out.push(columnsOf(` => => ${status.text}`, amount, width));
      }
      for (const line of vertex.tail) out.push(paint(2, fit(` => => # ${line}`, width)));
    }
    if (whole || out.length < rows) return out;
    // More than the screen holds: what is done goes first.
    return [out[0] as string, ...out.slice(out.length - (rows - 2))];
  }

  function draw(whole = false): void {
    const text = lines(Date.now(), whole);
    const up = drawn > 0 ? `\x1b[${drawn}A` : "";
    // The cursor is hidden while the lines change, each is cleared behind its text, what is left below goes.
    options.write(`\x1b[?25l${up}${text.map((line) => `\r${line}\x1b[K\n`).join("")}\x1b[J\x1b[?25h`);
    drawn = text.length;
  }

  return {
    event(event: EngineEvent) {
      if (event.type === "step.start") {
        vertices.set(event.id, {
          name: event.name,
          started: event.time,
          state: "running",
          statuses: new Map(),
          tail: [],
          all: [],
          splitters: new Map(),
        });
        timer ??= setInterval(draw, INTERVAL_MS);
        return;
      }
      if (!("id" in event)) return;
      const vertex = vertices.get(event.id);
      if (vertex === undefined) return;
      switch (event.type) {
        case "step.log": {
          const splitter = vertex.splitters.get(event.stream) ?? lineSplitter();
          vertex.splitters.set(event.stream, splitter);
          const fresh = splitter.push(event.data);
          vertex.tail = [...vertex.tail, ...fresh.slice(-TAIL_LINES)].slice(-TAIL_LINES);
          for (const line of fresh) vertex.all.push(line);
          if (vertex.all.length > 2 * FAILURE_LINES) vertex.all = vertex.all.slice(-FAILURE_LINES);
          break;
        }
        case "step.status":
          vertex.statuses.set(event.key, {
            text: event.text,
            done: event.done === true,
            ...(event.current === undefined ? {} : { current: event.current }),
            ...(event.total === undefined ? {} : { total: event.total }),
          });
          break;
        case "step.done":
          vertex.state = event.cached ? "cached" : "done";
          vertex.finished = event.time;
          break;
        case "step.error":
          vertex.state = event.canceled === true ? "canceled" : "error";
          vertex.finished = event.time;
          if (event.canceled !== true) failed ??= vertex;
      }
    },
    finish() {
      if (timer !== undefined) clearInterval(timer);
      draw(true);
      if (failed === undefined) return;
      for (const splitter of failed.splitters.values()) {
        const rest = splitter.rest();
        if (rest !== "") failed.all.push(rest);
      }
      options.write(`------\n > ${failed.name}:\n`);
      for (const line of failed.all.slice(-FAILURE_LINES)) options.write(`${line}\n`);
      options.write("------\n");
    },
  };
}

function fit(text: string, width: number): string {
  if (Bun.stringWidth(text) <= width) return text;
  let out = "";
  for (const char of Bun.stripANSI(text)) {
    if (Bun.stringWidth(out + char) > width) break;
    out += char;
  }
  return out;
}

/** `left`, and `right` at the right margin. */
function columnsOf(left: string, right: string, width: number): string {
  const room = width - Bun.stringWidth(right) - 1;
  if (room < 10) return fit(left, width);
  const shown = fit(left, room);
  return `${shown}${" ".repeat(Math.max(1, room - Bun.stringWidth(shown) + 1))}${right}`;
}
