import type { ContainerRecord } from "../../store/Store.ts";
import { type AttachOptions, attachContainer } from "./attachContainer.ts";
import { attachLock } from "./containerState.ts";
import { createContainer } from "./createContainer.ts";
import type { CreateOptions, Engine, Streams } from "../Engine.ts";

export interface RunResult {
  container: ContainerRecord;
  /** Undefined where detached. */
  exitCode?: number;
}

/**
 * `createContainer`, then a start: with streams attached from the first byte to the end, without them detached. Of a container of `--rm` nothing is
 * left, also where it could not be started. No prune takes the container before it runs. `created` hears of it before the start.
 */
export async function runContainer(
  engine: Engine,
  options: CreateOptions,
  streams?: Streams,
  { created = () => {}, ...attach }: AttachOptions & { created?: (container: ContainerRecord) => void } = {},
): Promise<RunResult> {
  const { store } = engine;
  let release: (() => void) | undefined;
  try {
    const container = await createContainer(engine, options, (id) => {
      release?.(); // of a container that could not be made
      release = store.tryLock(attachLock(id));
    });
    try {
      created(container);
      if (streams !== undefined) {
        return {
          container,
          exitCode: await attachContainer(engine, container.id, streams, { ...attach, start: true }),
        };
      }
      const { startContainer } = await import("./startContainer.ts");
      await startContainer(engine, container.id);
      return { container };
    } catch (error) {
      if (container.autoRemove && store.containers.get(container.id) !== undefined) {
        const { removeContainer } = await import("./removeContainer.ts");
        await removeContainer(engine, container.id, { force: true, volumes: true });
      }
      throw error;
    }
  } finally {
    release?.();
  }
}
