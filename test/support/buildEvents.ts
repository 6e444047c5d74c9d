import type { EngineEvent } from "../../src/engine/events.ts";

/** Events of a build as they come, a step each: began at 1 s, spoke at 2.5 s, ended at 4 s. */
export const start = (id: string, name = `[1/1] RUN ${id}`): EngineEvent => ({
  type: "step.start",
  ...{ id, name, time: 1000 },
});
export const log = (id: string, data: string | Uint8Array, stream: 1 | 2 = 1): EngineEvent => ({
  type: "step.log",
  ...{ id, stream, time: 2500 },
  data: typeof data === "string" ? new TextEncoder().encode(data) : data,
});
export const done = (id: string, rest: { cached?: boolean; reason?: string } = {}): EngineEvent => ({
  type: "step.done",
  ...{ id, time: 4000, cached: false },
  ...rest,
});
export const failed = (id: string, message = "exit code: 1"): EngineEvent => ({
  type: "step.error",
  ...{ id, time: 4000, message },
});
export const canceled = (id: string): EngineEvent => ({
  type: "step.error",
  ...{ id, time: 4000, message: "canceled", canceled: true },
});

/** All bytes there are, control characters and broken UTF-8 among them, without an end of line. */
export const binary = Uint8Array.from({ length: 256 }, (_, i) => i).filter((byte) => byte !== 10);
/** What can only harm a terminal or the lines drawn on it. */
export const harmful = /[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]|\x1b(?!\[[0-9;:]*m)/;

/** Where a display writes to; `take` gives what has come since the last time. */
export function paper(): { write(text: string): void; take(): string } {
  let text = "";
  return {
    write(more) {
      text += more;
    },
    take() {
      const taken = text;
      text = "";
      return taken;
    },
  };
}
