import { join } from "node:path";
import type { Engine } from "../../src/engine/Engine.ts";
import type { EngineEvent } from "../../src/engine/events.ts";
import { createLinux } from "../../src/linux/createLinux.ts";
import { openStore } from "../../src/store/openStore.ts";
import { withTempDirectory } from "./tempDirectory.ts";

export interface TestEngine {
  engine: Engine;
  /** Everything that was emitted so far. */
  events: EngineEvent[];
  /** A directory to work in, beside the store. */
  directory: string;
}

/** An engine on a fresh store of its own, gone afterwards. */
export async function withEngine<T>(work: (test: TestEngine) => Promise<T>): Promise<T> {
  return withTempDirectory(async (directory) => {
    const events: EngineEvent[] = [];
    const root = join(directory, "store");
    const store = openStore({ root, linux: createLinux() });
    try {
      return await work({
        engine: {
          store,
          config: { root, registries: {} },
          emit: (event) => events.push(event),
          signal: new AbortController().signal,
        },
        events,
        directory,
      });
    } finally {
      store.close();
    }
  });
}
