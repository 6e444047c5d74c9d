import { type LoopbackRegistry, type RegistrySettings, startRegistry } from "../../scripts/lib/loopbackRegistry.mjs";
import { withTempDirectory } from "./tempDirectory.ts";

export type { LoopbackRegistry };

/** Runs `work` with a fresh, empty docker-registry on a free loopback port, ended and removed afterwards. */
export async function withRegistry<T>(
  work: (registry: LoopbackRegistry) => T | Promise<T>,
  settings?: RegistrySettings,
): Promise<T> {
  return withTempDirectory(async (directory) => {
    const registry = await startRegistry(directory, settings);
    try {
      return await work(registry);
    } finally {
      await registry.stop();
    }
  });
}
