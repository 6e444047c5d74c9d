import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { isAlive, processStart } from "../../linux/processStart.ts";
import { removeTree } from "../../store/removeTree.ts";
import { AT_FDCWD } from "../../linux/constants.ts";
import { containerOptions } from "../containers/ContainerOptions.ts";
import type { Engine } from "../Engine.ts";
import { recordEvent } from "../events/eventLog.ts";
import { VOLUME_NAME } from "./parseVolume.ts";

/** A volume: a directory of the store by its name. What more is known of it is in the settings. */
export interface Volume {
  name: string;
  path: string;
  /** Milliseconds since the epoch. */
  created: number;
  labels: Record<string, string>;
  options: Record<string, string>;
  /** Made for one container, without a name of its own. */
  anonymous: boolean;
  /** Of an anonymous one whose container is not there yet, or no more: who makes or has removed that. */
  maker?: { pid: number; start: number };
}

const settingOf = (name: string): string => `volume ${name}`;

/** Makes a volume; one that is there already is returned as it is. @throws SlipwayError `INVALID_VOLUME` */
export function createVolume(
  engine: Engine,
  given: { name?: string; labels?: Record<string, string>; anonymous?: boolean; forContainer?: boolean },
): Volume {
  const name = given.name ?? Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex");
  if (!VOLUME_NAME.test(name)) {
    throw new SlipwayError("INVALID_VOLUME", `create ${name}: ${JSON.stringify(name)} includes invalid characters`, {
      hint: "A volume's name has two or more of [a-zA-Z0-9_.-]; to mount a host directory, give its absolute path.",
      exitCode: 125,
    });
  }
  const known = getVolume(engine, name);
  if (known !== undefined) return known;
  const anonymous = given.anonymous === true;
  const labels = { ...given.labels, ...(anonymous ? { "com.docker.volume.anonymous": "" } : {}) };
  const maker = given.forContainer === true ? { maker: ownIdentity() } : {};
  const record = { created: Date.now(), labels, anonymous, ...maker };
  engine.store.settings.set(settingOf(name), JSON.stringify(record));
  mkdirSync(volumePath(engine, name), { recursive: true });
  recordEvent(engine, { Type: "volume", Action: "create", id: name, attributes: { driver: "local" } });
  return getVolume(engine, name) as Volume;
}

export function volumePath(engine: Engine, name: string): string {
  return `${engine.store.root}/volumes/${name}`;
}

export function getVolume(engine: Engine, name: string): Volume | undefined {
  const path = volumePath(engine, name);
  if (!VOLUME_NAME.test(name) || !existsSync(path)) return undefined;
  const text = engine.store.settings.get(settingOf(name));
  const known = text === undefined ? {} : (JSON.parse(text) as Partial<Volume>);
  return {
    name,
    path,
    created: known.created ?? Math.round(statSync(path).birthtimeMs),
    labels: known.labels ?? {},
    options: known.options ?? {},
    anonymous: known.anonymous ?? false,
    ...(known.maker === undefined ? {} : { maker: known.maker }),
  };
}

/** By name. Those of a container that was never recorded, or was being removed, when its slipway was killed, are removed. */
export function listVolumes(engine: Engine): Volume[] {
  return readdirSync(`${engine.store.root}/volumes`)
    .sort()
    .flatMap((name) => getVolume(engine, name) ?? [])
    .filter(({ name, maker }) => {
      if (maker === undefined || isAlive(maker.pid, maker.start)) return true;
      dropVolume(engine, name);
      return false;
    });
}

/** The container that they were made for is recorded, in this transaction. */
export function keepVolumes(engine: Engine, names: readonly string[]): void {
  for (const name of names) {
    const { maker: _, ...known } = JSON.parse(engine.store.settings.get(settingOf(name)) ?? "{}") as Partial<Volume>;
    engine.store.settings.set(settingOf(name), JSON.stringify(known));
  }
}

/** Their container is removed in this transaction, and this process takes them away: if it is killed, the next who looks does. */
export function abandonVolumes(engine: Engine, names: readonly string[]): void {
  for (const name of names) {
    const known = JSON.parse(engine.store.settings.get(settingOf(name)) ?? "{}") as Partial<Volume>;
    engine.store.settings.set(settingOf(name), JSON.stringify({ ...known, maker: ownIdentity() }));
  }
}

function ownIdentity(): { pid: number; start: number } {
  return { pid: process.pid, start: processStart(process.pid) ?? 0 };
}

/** Names of the volumes that containers have, with the IDs of those. */
export function usedVolumes(engine: Engine): Map<string, string[]> {
  const used = new Map<string, string[]>();
  for (const record of engine.store.containers.list()) {
    for (const { name } of containerOptions(record).mounts) {
      if (name !== undefined) used.set(name, [...(used.get(name) ?? []), record.id]);
    }
  }
  return used;
}

/** @throws SlipwayError `VOLUME_NOT_FOUND`, `VOLUME_IN_USE` */
export function removeVolume(engine: Engine, name: string): void {
  if (getVolume(engine, name) === undefined) throw volumeNotFound(name);
  const users = usedVolumes(engine).get(name) ?? [];
  if (users.length > 0) {
    throw new SlipwayError("VOLUME_IN_USE", `remove ${name}: volume is in use - [${users.join(", ")}]`, {
      hint: "Remove the containers first.",
    });
  }
  dropVolume(engine, name);
}

/** The same without a look at who uses it. */
export function dropVolume(engine: Engine, name: string): void {
  const path = volumePath(engine, name);
  if (engine.store.linux.statatOrUndefined(AT_FDCWD, path) !== undefined) removeTree(engine.store.linux, path);
  engine.store.settings.delete(settingOf(name));
  recordEvent(engine, { Type: "volume", Action: "destroy", id: name, attributes: { driver: "local" } });
}

export function volumeNotFound(name: string): SlipwayError {
  return new SlipwayError("VOLUME_NOT_FOUND", `get ${name}: no such volume`);
}

/** What `docker volume inspect` gives. */
export function describeVolume(volume: Volume): Record<string, unknown> {
  return {
    CreatedAt: new Date(volume.created).toISOString().replace(/\.\d+Z$/, "Z"),
    Driver: "local",
    Labels: Object.keys(volume.labels).length === 0 ? null : volume.labels,
    Mountpoint: volume.path,
    Name: volume.name,
    Options: Object.keys(volume.options).length === 0 ? null : volume.options,
    Scope: "local",
  };
}
