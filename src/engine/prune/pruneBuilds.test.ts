import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withEngine } from "../../../test/support/withEngine.ts";
import { buildLog, findStep, listBuilds, startBuildRecord } from "../build/buildRecords.ts";
import type { Engine } from "../Engine.ts";
import type { CacheSettings } from "../build/cacheLimits.ts";
import { buildIdentifiers } from "./pruneBuilds.ts";

/** A build of one step that said its number. */
async function build(engine: Engine, number: number): Promise<string> {
  await Bun.sleep(2); // ids are in the order of their times
  const recorder = startBuildRecord(engine, { context: ".", dockerfile: "Dockerfile", tags: [] });
  const time = Date.now();
  recorder.event({ type: "step.start", id: "s", name: "RUN", time });
  recorder.event({ type: "step.log", id: "s", stream: 1, data: Buffer.from(`said ${number}`), time });
  recorder.event({ type: "step.done", id: "s", cached: false, time });
  recorder.finish({ error: new Error("no matter"), canceled: false });
  return recorder.id;
}

function configured(engine: Engine, history: CacheSettings["history"]): Engine {
  return { ...engine, config: { ...engine.config, cache: { history: history ?? {} } } };
}

test("build records are kept as many and as long as the configuration says, with their logs; those at work stay", () =>
  withEngine(async ({ engine }) => {
    const three = configured(engine, { maxEntries: 3 });
    const running = join(engine.store.root, "builds", `${(Date.now() - 600_000).toString(36)}abcd`);
    for (let i = 0; i < 5; i++) {
      await build(three, i);
      if (i > 0) continue;
      // One that began before all others and has not ended.
      mkdirSync(running);
      writeFileSync(join(running, "s.log"), "at work");
    }
    const kept = listBuilds(three);
    expect(kept.map((record) => Buffer.concat([...buildLog(three, record, findStep(record, "1"))]).toString())).toEqual(
      ["said 4", "said 3", "said 2"],
    );
    expect(readdirSync(running)).toEqual(["s.log"]);

    // A day later it is certain that it was killed.
    utimesSync(running, 1, 1);
    const last = await build(configured(engine, { maxAge: 60_000 }), 5);
    expect(buildIdentifiers(engine)).toEqual([...kept.map(({ id }) => id).reverse(), last]);
    const none = await build(configured(engine, { maxAge: 0 }), 6);
    expect(buildIdentifiers(engine).filter((id) => id !== none)).toEqual([]);
  }));

test("fifty are kept where the configuration does not say", () =>
  withEngine(async ({ engine }) => {
    for (let i = 0; i < 52; i++) await build(engine, i);
    expect(buildIdentifiers(engine)).toHaveLength(50);
  }));
