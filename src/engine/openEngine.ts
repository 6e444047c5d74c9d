import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CLONE_NEWNS } from "../linux/constants.ts";
import { createLinux } from "../linux/createLinux.ts";
import type { Linux } from "../linux/Linux.ts";
import { isErrno } from "../linux/LinuxError.ts";
import { inUserNamespace, USER_VARIABLE, userId } from "../linux/userNamespace.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { ISOLATIONS, worksByChroot } from "../runtime/isolation.ts";
import { outsideLinux } from "../runtime/rootless/outsideLinux.ts";
import { defaultRoot, type OpenStoreOptions, openStore } from "../store/openStore.ts";
import type { CacheSettings } from "./build/cacheLimits.ts";
import type { Engine, EngineConfig } from "./Engine.ts";
import type { StorageWish } from "../store/Snapshotter.ts";
import type { Store } from "../store/Store.ts";
import type { Emit } from "./events.ts";
import { isRecord } from "../oci/isRecord.ts";

export interface OpenEngineOptions {
  emit: Emit;
  signal: AbortSignal;
  /** What the command line says: it wins over everything else. */
  flags: { root?: string; runtime?: string; storage?: string; isolation?: string };
  /** {@link Engine.beginAnew} */
  beginAnew?: (() => never) | undefined;
  linux?: Linux;
}

/**
 * Reads the configuration, opens the store, removes what killed processes left in it, and looks after what the machine's last stop may have
 * cost. The caller closes `engine.store`.
 */
export async function openEngine({
  emit,
  signal,
  flags,
  beginAnew,
  linux = createLinux(),
}: OpenEngineOptions): Promise<Engine> {
  const config = loadConfig(process.env, userId(), flags);
  // The machine's mounts are not the user's to add to. All that is started from here on is in this namespace of mounts, or in one made from it.
  if (process.env[USER_VARIABLE] !== undefined && inUserNamespace()) linux.unshare(CLONE_NEWNS);
  if (beginAnew !== undefined) return openOutside({ emit, signal, config, linux, beginAnew });
  const store = openStore({ ...placeOf(config), linux });
  store.sweep();
  if (store.layers.unsettled().length > 0 || store.doubt.ofEarlierBoot() !== undefined) await recover(store, emit);
  return { store, config, emit, signal };
}

/** What is left of killed processes, and of a machine's last stop, waits for those who can remove what belongs to any id. */
function openOutside({ linux, beginAnew, ...rest }: OutsideOptions): Engine {
  const store = openStore({ ...placeOf(rest.config), linux: outsideLinux(linux, beginAnew) });
  if (store.layers.unsettled().length > 0 || store.doubt.ofEarlierBoot() !== undefined) beginAnew();
  return { ...rest, store, beginAnew };
}

interface OutsideOptions extends Omit<Engine, "store" | "beginAnew"> {
  linux: Linux;
  beginAnew: () => never;
}

/** Processes whose root is changed have it in a directory, as copies are: found by itself where no mount can be made. */
function placeOf({ root, storage: wish, isolation }: EngineConfig): Omit<OpenStoreOptions, "linux"> {
  const storage = isolation === "chroot" && worksByChroot(isolation) ? "copy" : wish;
  return { root, ...(storage === undefined ? {} : { storage }) };
}

async function recover(store: Store, emit: Emit): Promise<void> {
  const { recoverLayers } = await import("../store/recoverLayers.ts");
  const { lost, images } = await recoverLayers(store);
  if (lost.length === 0 && images.length === 0) return;
  emit({
    type: "warning",
    message: lossMessage(lost.length, images),
  });
}

/** Exported for its test. */
export function lossMessage(layers: number, images: readonly string[]): string {
  const lost = `${layers} ${layers === 1 ? "layer is" : "layers are"} lost`;
  const removed = images.length === 0 ? "; no image had them" : `, and removed are the images ${images.join(", ")}`;
  return `not all had reached the disk when the machine stopped: ${lost}${removed}`;
}

/**
 * `/etc/slipway/config.json`, over it the user's (`$XDG_CONFIG_HOME/slipway/config.json`), or in place of both what `$SLIPWAY_CONFIG` names;
 * then environment, then flags. Registries are merged by host.
 * @throws SlipwayError `INVALID_CONFIG`
 */
export function loadConfig(
  env: Record<string, string | undefined>,
  uid: number,
  flags: OpenEngineOptions["flags"],
): EngineConfig {
  const files = configFiles(env).map(({ file, needed }) => readConfig(file, needed));
  const root = flags.root ?? (env.SLIPWAY_ROOT || undefined) ?? files.findLast((each) => each.root !== undefined)?.root;
  const runtime = flags.runtime ?? files.findLast((each) => each.runtime !== undefined)?.runtime;
  const storage = oneOf(
    "storage",
    STORAGES,
    flags.storage ??
      (env.SLIPWAY_STORAGE || undefined) ??
      files.findLast((each) => each.storage !== undefined)?.storage,
  );
  const isolation = oneOf(
    "isolation",
    ISOLATIONS,
    flags.isolation ??
      (env.SLIPWAY_ISOLATION || undefined) ??
      files.findLast((each) => each.isolation !== undefined)?.isolation,
  );
  const cache = Object.assign({}, ...files.map((each) => each.cache ?? {}));
  return {
    root: root ?? defaultRoot(env, uid),
    ...(runtime === undefined ? {} : { runtime }),
    ...(storage === undefined ? {} : { storage }),
    ...(isolation === undefined ? {} : { isolation }),
    registries: Object.assign({}, ...files.map((each) => each.registries ?? {})),
    ...(Object.keys(cache).length === 0 ? {} : { cache }),
  };
}

/** @throws SlipwayError `USAGE` for a word that is none of them */
function oneOf<Word extends string>(what: string, words: readonly Word[], word: string | undefined): Word | undefined {
  if (word === undefined) return undefined;
  const found = words.find((each) => each === word);
  if (found !== undefined) return found;
  throw new SlipwayError("USAGE", `there is no ${what} ${JSON.stringify(word)}`, {
    hint: `Take one of ${words.join(", ")}.`,
    exitCode: 125,
  });
}

const STORAGES: readonly StorageWish[] = ["auto", "overlay", "fuse", "copy"];

function configFiles(env: Record<string, string | undefined>): { file: string; needed: boolean }[] {
  if (env.SLIPWAY_CONFIG) return [{ file: env.SLIPWAY_CONFIG, needed: true }];
  const files = [{ file: "/etc/slipway/config.json", needed: false }];
  const home = env.XDG_CONFIG_HOME?.startsWith("/") ? env.XDG_CONFIG_HOME : env.HOME && join(env.HOME, ".config");
  if (home) files.push({ file: join(home, "slipway/config.json"), needed: false });
  return files;
}

function readConfig(file: string, needed: boolean): Partial<EngineConfig> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (!needed && isErrno(error, "ENOENT", "ENOTDIR")) return {};
    throw new SlipwayError("INVALID_CONFIG", `the configuration ${file} cannot be read`, { cause: error });
  }
  const invalid = (why: string, cause?: unknown) =>
    new SlipwayError("INVALID_CONFIG", `the configuration ${file} is not valid: ${why}`, { cause });
  let value: unknown;
  try {
    value = text.trim() === "" ? {} : JSON.parse(text); // an empty file (`/dev/null`) says nothing
  } catch (error) {
    throw invalid((error as Error).message, error);
  }
  if (!isRecord(value)) throw invalid("it must be an object");
  const cache: CacheSettings = {};
  for (const [key, each] of Object.entries(value)) {
    if (["root", "runtime", "storage", "isolation"].includes(key)) {
      if (typeof each !== "string" || each === "") throw invalid(`"${key}" must be a text`);
    } else if (key === "registries") {
      if (!isRecord(each)) throw invalid('"registries" must be an object');
      for (const [host, about] of Object.entries(each))
        if (!isRegistry(about))
          throw invalid(
            `registry "${host}" must be {"mirrors": [texts], "http": boolean, "tlsVerify": boolean, "foreignLayers": boolean}`,
          );
    } else {
      const { cacheSettingNames, readCacheSetting } =
        require("./build/cacheLimits.ts") as typeof import("./build/cacheLimits.ts");
      if (cacheSettingNames.includes(key)) Object.assign(cache, readCacheSetting(key, each, invalid));
      else
        throw invalid(
          `"${key}" is not known; there are root, runtime, storage, isolation, registries, ${cacheSettingNames.join(", ")}`,
        );
    }
  }
  return { ...value, cache } as Partial<EngineConfig>;
}

function isRegistry(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { mirrors = [], http = false, tlsVerify = true, foreignLayers = false, ...rest } = value;
  const areTexts = Array.isArray(mirrors) && mirrors.every((each) => typeof each === "string");
  const areSwitches = [http, tlsVerify, foreignLayers].every((each) => typeof each === "boolean");
  return areTexts && areSwitches && Object.keys(rest).length === 0;
}
