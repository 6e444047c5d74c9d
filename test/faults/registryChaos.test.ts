import { expect, test } from "bun:test";
import { join } from "node:path";
import { pushImage as putImage } from "../../scripts/lib/pushImage.mjs";
import { writeTar } from "../../scripts/lib/writeTar.mjs";
import { createRandom, startChaosProxy } from "../support/chaosProxy.ts";
import { withRegistry } from "../support/dockerRegistry.ts";
import { withTempDirectory } from "../support/tempDirectory.ts";
import { validateImage } from "../../src/image/validateImage.ts";
import { createLinux } from "../../src/linux/createLinux.ts";
import { isSlipwayError } from "../../src/oci/SlipwayError.ts";
import { openStore } from "../../src/store/openStore.ts";
import { storeImage } from "../../src/store/storeImage.ts";
import type { Engine } from "../../src/engine/Engine.ts";
import { pull } from "../../src/engine/images/pull.ts";
import { push } from "../../src/engine/images/push.ts";

/** How many pulls; `SLIPWAY_CHAOS_PULLS=200` for the long run. */
const PULLS = Number(process.env.SLIPWAY_CHAOS_PULLS ?? 40);
const SEED = Number(process.env.SLIPWAY_CHAOS_SEED ?? 20);
const AT_ONCE = 8;
/** Far beyond what all waits of one pull add up to. */
const HANG_MS = 30_000;

test(
  `${PULLS} pulls and as many pushes through a proxy that drops, stalls, truncates and corrupts: no wrong byte, no hang`,
  () =>
    withRegistry((registry) =>
      withTempDirectory(async (directory) => {
        const random = createRandom(SEED);
        const noise = (length: number) => String.fromCharCode(...Array.from({ length }, () => 33 + random() * 90));
        const layers = [20_000, 300, 30_000, 1].map((length, i) =>
          writeTar([{ path: `f${i}`, content: noise(length) }]),
        );
        const image = await putImage(registry.url, "team/small", "1", { layers });
        const proxy = await startChaosProxy(registry.host, { seed: SEED, rate: 0.2 });
        let good = 0;
        const wrong: string[] = [];
        const failures: string[] = [];
        const name = `${proxy.host}/team/small:1`;

        async function one(n: number): Promise<void> {
          const root = join(directory, String(n));
          const store = openStore({ root, linux: createLinux() });
          const abort = new AbortController();
          const timer = setTimeout(() => {
            wrong.push(`${n} hangs`);
            abort.abort(new Error("hangs"));
          }, HANG_MS);
          const patience = { stall: 800, finish: 1000, firstWait: 5, tries: 6 };
          const engine: Engine = {
            store,
            config: { root, registries: {}, patience },
            emit: () => {},
            signal: abort.signal,
          };
          try {
            const pulled = await pull(engine, name);
            if (pulled.imageID !== image.imageID || pulled.digest !== image.digest) wrong.push(`${n}: another image`);
            const faults = await validateImage(storeImage(store, pulled.imageID));
            if (faults.length > 0) wrong.push(`${n}: ${faults.join(", ")}`);
            const target = `${proxy.host}/copy/of${n}:1`;
            store.images.tag(target, pulled.imageID);
            const [pushed] = await push(engine, target);
            const there = await fetch(`${registry.url}/v2/copy/of${n}/manifests/1`, {
              headers: { accept: image.mediaType },
            });
            const bytes = await there.bytes();
            if (pushed?.digest !== image.digest || `sha256:${Bun.SHA256.hash(bytes, "hex")}` !== image.digest)
              wrong.push(`${n}: another manifest was pushed`);
            good++;
          } catch (error) {
            if (!isSlipwayError(error)) throw error;
            failures.push(`${n}: ${error.message}`);
          } finally {
            clearTimeout(timer);
            store.close();
          }
        }

        try {
          let next = 0;
          await Promise.all(
            Array.from({ length: AT_ONCE }, async () => {
              while (next < PULLS) await one(next++);
            }),
          );
        } finally {
          proxy.stop();
        }
        expect(wrong).toEqual([]);
        expect(Object.values(proxy.done).every((count) => count > 0)).toBe(true);
        // One that meets harm at every try may fail, and says so; most do not.
        if (good < PULLS * 0.9) throw new Error(`${good} of ${PULLS} came through: ${failures.join("; ")}`);
        if (process.env.SLIPWAY_CHAOS_PULLS !== undefined)
          console.log(`${good} of ${PULLS} came through; harm: ${JSON.stringify(proxy.done)}; ${failures.join("; ")}`);
      }),
    ),
  600_000,
);
