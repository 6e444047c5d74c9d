import type { Step } from "../../plan/graph.ts";
import type { SolveEvent } from "../../solve/SolveContext.ts";
import type { Emit } from "../events.ts";

/** Turns what a build does into the numbered steps of its progress display. */
export interface Vertices {
  plan(steps: readonly Step[]): void;
  /** A step that is not the Dockerfile's: `work` may report lines by `status`; `reason`: why it has to be done. */
  internal<T>(name: string, work: (status: Status) => Promise<T>, reason?: string): Promise<T>;
  solving(event: SolveEvent): void;
}

export type Status = (
  text: string,
  progress?: { key?: string; current?: number; total?: number; done?: boolean },
) => void;

export function createVertices(emit: Emit): Vertices {
  let count = 0;
  return {
    plan(steps) {
      emit({
        type: "step.plan",
        steps: steps.map((step) => ({
          id: step.id,
          name: step.name,
          ...(step.stage === "" ? {} : { stage: step.stage }),
        })),
      });
    },
    async internal(name, work, reason) {
      const id = `internal${count++}`;
      emit({ type: "step.start", id, name, time: Date.now() });
      const status: Status = (text, { key = text, current, total, done = true } = {}) => {
        emit({
          type: "step.status",
          id,
          key,
          text,
          time: Date.now(),
          done,
          ...(current === undefined ? {} : { current }),
          ...(total === undefined ? {} : { total }),
        });
      };
      try {
        const result = await work(status);
        emit({ type: "step.done", id, time: Date.now(), cached: false, ...(reason === undefined ? {} : { reason }) });
        return result;
      } catch (error) {
        emit({
          type: "step.error",
          id,
          time: Date.now(),
          message: error instanceof Error ? error.message : String(error),
        });
        throw error;
      }
    },
    solving(event) {
      const { id, name } = event.step;
      const time = Date.now();
      switch (event.type) {
        case "start":
          emit({ type: "step.start", id, name, time });
          break;
        case "log":
          emit({ type: "step.log", id, stream: event.stream, data: event.data, time });
          break;
        case "done":
          emit({
            type: "step.done",
            id,
            time,
            cached: event.cached,
            ...(event.miss === undefined ? {} : event.miss),
            ...(event.layer === undefined ? {} : { layer: event.layer }),
          });
          break;
        case "shell":
          emit({ type: "step.shell", id, time, open: event.open, message: event.message });
          break;
        case "error": {
          const message = event.error instanceof Error ? event.error.message : String(event.error);
          emit({ type: "step.error", id, time, message, ...(event.canceled ? { canceled: true } : {}) });
          break;
        }
      }
    },
  };
}
