import type { EngineEvent } from "../../engine/events.ts";
import { becauseLines } from "./changeLines.ts";
import { humanSize } from "./humanSize.ts";
import { lineSplitter, oneLine } from "./lineSplitter.ts";
import { createLogTail, type LogTail } from "./logTail.ts";
import type { Progress } from "./plainProgress.ts";
import { createScreen, fit, justify, type ScreenSize } from "./screen.ts";

interface Vertex {
  name: string;
  started: number;
  finished?: number;
  /** Why it ran. */
  because: string[];
  state: "running" | "done" | "cached" | "error" | "canceled";
  statuses: Map<string, { text: string; current?: number; total?: number; done: boolean }>;
  log: LogTail;
  splitters: Map<number, ReturnType<typeof lineSplitter>>;
}

export interface TtyOptions {
  write(text: string): void;
  /** Asked anew for each drawing: terminals are resized. */
  size(): ScreenSize;
  color: boolean;
  /** Say under each step why it ran. */
  explain?: boolean;
}

/** Drawings per second are bounded: a terminal over a slow line must keep up. */
const INTERVAL_MS = 100;
const TAIL_LINES = 6;
/** Lines of a failed step that are shown in the end; the build record has the whole log. */
const FAILURE_LINES = 1000;
/** A log without line ends comes in long pieces: no more of it is held than this many characters. */
const FAILURE_CHARACTERS = 1 << 20;

/** `--progress tty`: the steps drawn over and over in place, with timers, the last lines of what runs, and colours unless NO_COLOR. */
export function createTtyProgress(options: TtyOptions): Progress {
  const vertices = new Map<string, Vertex>();
  const begun = Date.now();
  const screen = createScreen(options.write, options.size);
  let timer: ReturnType<typeof setInterval> | undefined;
  let failed: Vertex | undefined;
  const emptyLog = (): LogTail => createLogTail({ lines: FAILURE_LINES, characters: FAILURE_CHARACTERS });
  const paint = (code: number, text: string): string => (options.color ? `\x1b[${code}m${text}\x1b[0m` : text);

  function outcome(): string {
    if (failed !== undefined) return " ERROR";
    const ended = [...vertices.values()].every(({ state }) => state === "done" || state === "cached");
    return ended ? " FINISHED" : " CANCELED";
  }

  function lines(now: number, whole: boolean): string[] {
    const { width, height } = screen.room();
    const done = [...vertices.values()].filter((vertex) => vertex.state !== "running").length;
    const seconds = ((now - begun) / 1000).toFixed(1);
    const out = [fit(`[+] Building ${seconds}s (${done}/${vertices.size})${whole ? outcome() : ""}`, width)];
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
      const text = justify(`${mark}${vertex.name}`, seconds, width);
      out.push(
        vertex.state === "running"
          ? text
          : paint(vertex.state === "error" ? 31 : vertex.state === "canceled" ? 33 : 34, text),
      );
      for (const line of vertex.because) out.push(fit(` => => ${line}`, width));
      if (vertex.state !== "running") continue;
      for (const status of vertex.statuses.values()) {
        if (status.done) continue;
        const amount =
          status.total === undefined ? "" : `${humanSize(status.current ?? 0)} / ${humanSize(status.total)}`;
        out.push(justify(` => => ${status.text}`, amount, width));
      }
      for (const line of vertex.log.last(TAIL_LINES)) {
        out.push(paint(2, fit(` => => # ${options.color ? line : Bun.stripANSI(line)}`, width)));
      }
    }
    if (whole || out.length <= height) return out;
    // More than the screen holds: what is done goes first.
    return [out[0] as string, ...out.slice(out.length - height + 1)];
  }

  function draw(whole = false): void {
    screen.draw(lines(Date.now(), whole));
  }

  return {
    event(event: EngineEvent) {
      if (event.type === "step.start") {
        vertices.set(event.id, {
          name: oneLine(event.name),
          started: event.time,
          state: "running",
          because: [],
          statuses: new Map(),
          log: emptyLog(),
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
          vertex.log.push(splitter.push(event.data, FAILURE_LINES));
          break;
        }
        case "step.status":
          vertex.statuses.set(event.key, {
            text: oneLine(event.text),
            done: event.done === true,
            ...(event.current === undefined ? {} : { current: event.current }),
            ...(event.total === undefined ? {} : { total: event.total }),
          });
          break;
        case "step.done":
          vertex.state = event.cached ? "cached" : "done";
          vertex.finished = event.time;
          if (!event.cached && options.explain === true) vertex.because = becauseLines(event);
          vertex.log = emptyLog();
          break;
        case "step.error":
          vertex.state = event.canceled === true ? "canceled" : "error";
          vertex.finished = event.time;
          if (event.canceled !== true) failed ??= vertex;
      }
    },
    finish() {
      if (timer !== undefined) clearInterval(timer);
      if (vertices.size === 0) return;
      draw(true);
      if (failed === undefined) return;
      for (const splitter of failed.splitters.values())
        failed.log.push([splitter.rest()].filter((line) => line !== ""));
      options.write(`------\n > ${failed.name}:\n`);
      for (const line of failed.log.last(FAILURE_LINES)) {
        options.write(`${options.color ? line : Bun.stripANSI(line)}\n`);
      }
      options.write("------\n");
    },
  };
}
