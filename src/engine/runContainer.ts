import type { ContainerRecord } from "../store/Store.ts";
import { type AttachOptions, attachContainer } from "./attachContainer.ts";
import { createContainer } from "./createContainer.ts";
import type { CreateOptions, Engine, Streams } from "./Engine.ts";

export interface RunResult {
  container: ContainerRecord;
  /** Undefined where detached. */
  exitCode?: number;
}

/**
 * `createContainer`, then a start: with streams attached from the first byte to the end, without them detached. Of a container of `--rm` nothing is
 * left, also where it could not be started.
 */
export async function runContainer(
  engine: Engine,
  options: CreateOptions,
  streams?: Streams,
  attach: AttachOptions = {},
): Promise<RunResult> {
  return runCreated(engine, await createContainer(engine, options), streams, attach);
}

/** The second half of that. */
export async function runCreated(
  engine: Engine,
  container: ContainerRecord,
  streams?: Streams,
  attach: AttachOptions = {},
): Promise<RunResult> {
  try {
    if (streams !== undefined) {
      return { container, exitCode: await attachContainer(engine, container.id, streams, { ...attach, start: true }) };
    }
    const { startContainer } = await import("./startContainer.ts");
    await startContainer(engine, container.id);
    return { container };
  } catch (error) {
    if (container.autoRemove && engine.store.containers.get(container.id) !== undefined) {
      const { removeContainer } = await import("./removeContainer.ts");
      await removeContainer(engine, container.id, { force: true, volumes: true });
    }
    throw error;
  }
}
