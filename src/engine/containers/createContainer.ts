import { existsSync, mkdirSync } from "node:fs";
import type { ContainerConfig } from "../../oci/config.ts";
import { digestHex } from "../../oci/digest.ts";
import { isSlipwayError, SlipwayError } from "../../oci/SlipwayError.ts";
import { containerCapabilities } from "../../runtime/capabilities.ts";
import { parseAddress } from "../../runtime/network/addresses.ts";
import { parseAddHost } from "../../runtime/networkFiles.ts";
import type { ContainerRecord, ImageRecord } from "../../store/Store.ts";
import { checkSettings } from "./checkSettings.ts";
import { networkMode } from "../networks/networkMode.ts";
import { parseExpose, parsePublish } from "../networks/networkPorts.ts";
import { checkContainerName, generateContainerName } from "./containerNames.ts";
import type { ContainerOptions } from "./ContainerOptions.ts";
import type { CreateOptions, Engine } from "../Engine.ts";
import { recordContainerEvent } from "../events/eventLog.ts";
import { resolveImage } from "../images/resolveImage.ts";
import { parseSignal } from "./signals.ts";
import { dropVolume, keepVolumes } from "../volumes/volumeRecords.ts";
import { prepareMounts } from "../volumes/volumes.ts";

/**
 * Makes a container of an image, pulling that first where `pull` says so. Nothing is mounted and nothing runs yet.
 * @throws SlipwayError `IMAGE_NOT_FOUND`, `NAME_IN_USE`, `INVALID_NAME`, `NO_COMMAND`, `INVALID_VOLUME`, `INVALID_OPTION`
 */
export async function createContainer(
  engine: Engine,
  options: CreateOptions,
  /** Hears the ID before the container is there. */
  named: (id: string) => void = () => {},
): Promise<ContainerRecord> {
  const { store } = engine;
  if (options.name !== undefined) checkContainerName(options.name);
  checkOptions(options);
  const image = await imageFor(engine, options);
  const config = mergedConfig(image.config.config ?? {}, options);
  const args = commandOf(config, options);
  const id = digestHex(`sha256:${Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex")}`);
  named(id);
  const { mounts, anonymousVolumes } = prepareMounts(engine, { options, config, image });
  const mountedLayers = mounts.flatMap((mount) => mount.layers ?? []);
  const settings: ContainerOptions = {
    ...options,
    ...(await networkMode(engine, options)),
    config,
    args,
    mounts,
    anonymousVolumes,
  };
  const taken = new Set<string>(); // as far as we have met them: no list of all containers is read for a name
  for (;;) {
    const record: ContainerRecord = {
      id,
      name: options.name ?? generateContainerName((name) => taken.has(name)),
      image: image.id,
      imageReference: options.image,
      layers: image.config.rootfs.diff_ids,
      created: Date.now(),
      status: "created",
      autoRemove: options.autoRemove,
      options: settings,
      ...(mountedLayers.length === 0 ? {} : { mountedLayers }),
    };
    try {
      const made = store.transaction(() => {
        if (mounts.some(({ type, source }) => type === "volume" && !existsSync(source))) return false;
        store.containers.create(record);
        keepVolumes(engine, anonymousVolumes);
        return true;
      });
      if (!made) return await createContainer(engine, options, named); // a prune has taken a volume since it was looked at
      mkdirSync(`${store.containers.directory(id)}/exit`, { recursive: true });
      recordContainerEvent(engine, record, "create");
      return record;
    } catch (error) {
      // Another process has just taken the name that we made up.
      if (isSlipwayError(error, "NAME_IN_USE") && options.name === undefined) {
        taken.add(record.name);
        continue;
      }
      for (const name of anonymousVolumes) dropVolume(engine, name);
      throw error;
    }
  }
}

export async function imageFor(engine: Engine, options: CreateOptions): Promise<ImageRecord> {
  const platform = options.platform === undefined ? {} : { platform: options.platform };
  const fetch = async (): Promise<ImageRecord> => {
    const { pull } = await import("../images/pull.ts");
    const pulled = await pull(engine, options.image, platform);
    return resolveImage(engine, pulled.imageID);
  };
  if (options.pull === "always") return fetch();
  try {
    return resolveImage(engine, options.image, options.platform);
  } catch (error) {
    if (!isSlipwayError(error, "IMAGE_NOT_FOUND", "NO_MATCHING_PLATFORM") || options.pull === "never") throw error;
    return fetch();
  }
}

/** The image's config with the options on top, by Docker's rules: an entrypoint of one's own clears the image's Cmd. */
export function mergedConfig(image: ContainerConfig, options: CreateOptions): ContainerConfig {
  const config: ContainerConfig = { ...image };
  if (options.entrypoint !== undefined) {
    config.Entrypoint = options.entrypoint.filter((part) => part !== "");
    config.Cmd = options.command;
  } else if (options.command.length > 0) config.Cmd = options.command;
  const env = new Map<string, string>();
  for (const entry of [...(image.Env ?? []), ...options.env]) {
    const equals = entry.indexOf("=");
    if (equals > 0) env.set(entry.slice(0, equals), entry);
    else if (equals < 0) env.delete(entry); // `-e NAME` where NAME is not set here: the command has resolved those that are
  }
  config.Env = [...env.values()];
  if (options.workdir !== undefined) {
    if (!options.workdir.startsWith("/")) {
      throw new SlipwayError(
        "INVALID_OPTION",
        `the working directory ${JSON.stringify(options.workdir)} is invalid, it needs to be an absolute path`,
        { exitCode: 125 },
      );
    }
    config.WorkingDir = options.workdir;
  }
  if (options.user !== undefined) config.User = options.user;
  if (options.stopSignal !== undefined) config.StopSignal = options.stopSignal;
  if (options.stopTimeout !== undefined) config.StopTimeout = options.stopTimeout;
  if (options.health !== undefined) {
    config.Healthcheck =
      options.health.Test?.[0] === "NONE" ? { Test: ["NONE"] } : { ...image.Healthcheck, ...options.health };
  }
  const exposed = [
    ...(options.expose ?? []).flatMap(parseExpose),
    ...(options.publish ?? []).flatMap(parsePublish).map(({ port, protocol }) => `${port}/${protocol}`),
  ];
  if (exposed.length > 0)
    config.ExposedPorts = { ...image.ExposedPorts, ...Object.fromEntries(exposed.map((key) => [key, {}])) };
  config.Labels = { ...(image.Labels ?? {}), ...options.labels };
  return config;
}

/** Entrypoint and Cmd. @throws SlipwayError `NO_COMMAND` */
export function commandOf(config: ContainerConfig, { image }: CreateOptions): string[] {
  const args = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  if (args.length > 0) return args;
  throw new SlipwayError("NO_COMMAND", `image ${image} names no command to run, and none was given`, {
    hint: `Give one: slipway run ${image} COMMAND`,
    exitCode: 125,
  });
}

/** What can be known to be wrong before anything is made. */
export function checkOptions(options: CreateOptions): void {
  containerCapabilities({ add: options.capAdd, drop: options.capDrop, privileged: false, available: [] });
  if (options.stopSignal !== undefined) parseSignal(options.stopSignal);
  for (const entry of options.addHosts) {
    const [name, address] = parseAddHost(entry);
    if (name === "" || parseAddress(address) === undefined) {
      throw new SlipwayError("INVALID_OPTION", `invalid --add-host ${JSON.stringify(entry)}: it is NAME:ADDRESS`, {
        exitCode: 125,
      });
    }
  }
  checkSettings(options);
  if (options.hostname !== undefined && !/^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,62}[a-zA-Z0-9])?$/.test(options.hostname)) {
    throw new SlipwayError("INVALID_OPTION", `invalid hostname format: ${options.hostname}`, { exitCode: 125 });
  }
}
