import { existsSync } from "node:fs";
import { parseAddHost } from "../../runtime/networkFiles.ts";
import type { ContainerRecord } from "../../store/Store.ts";
import { containerFiles } from "./containerFiles.ts";
import { containerHostname, containerOptions } from "./ContainerOptions.ts";
import { containerSize } from "./containerSize.ts";
import { isUp, refreshContainer } from "./containerState.ts";
import type { Engine } from "../Engine.ts";
import { healthOf } from "./health.ts";
import { hostSettings } from "./inspectSettings.ts";
import { networkSettings, portBindings } from "../networks/networkSettings.ts";

const NEVER = "0001-01-01T00:00:00Z"; // Go's zero time, which Docker writes for what has not happened

/** What `docker container inspect` gives for one container, in its shape. @throws SlipwayError `CONTAINER_NOT_FOUND` */
export function inspectContainer(
  engine: Engine,
  nameOrId: string,
  { size = false }: { size?: boolean } = {},
): Record<string, unknown> {
  const { store } = engine;
  const record = refreshContainer(engine, store.containers.find(nameOrId));
  const options = containerOptions(record);
  const { config } = options;
  const directory = store.containers.directory(record.id);
  const files = containerFiles(directory, record.id);
  return {
    Id: record.id,
    Created: time(record.created),
    Path: options.args[0],
    Args: options.args.slice(1),
    State: state(engine, record),
    Image: record.image,
    ResolvConfPath: `${directory}/resolv.conf`,
    HostnamePath: `${directory}/hostname`,
    HostsPath: `${directory}/hosts`,
    LogPath: files.log,
    Name: `/${record.name}`,
    RestartCount: record.restartCount ?? 0,
    Driver: "overlayfs",
    Platform: "linux",
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: "",
    ExecIDs: null,
    ...(size ? sizes(engine, record) : {}),
    HostConfig: {
      ...hostSettings(options),
      Binds: options.volumes.length === 0 ? null : options.volumes,
      NetworkMode: options.network,
      PortBindings: portBindings(record),
      PublishAllPorts: options.publishAll ?? false,
      Dns: options.dns ?? [],
      DnsOptions: options.dnsOptions ?? [],
      DnsSearch: options.dnsSearch ?? [],
      AutoRemove: options.autoRemove,
      CapAdd: options.capAdd.length === 0 ? null : options.capAdd,
      CapDrop: options.capDrop.length === 0 ? null : options.capDrop,
      ExtraHosts:
        options.addHosts.length === 0
          ? null
          : options.addHosts.map((entry) => parseAddHost(entry, "host-gateway").join(":")),
      Init: options.init,
      Privileged: options.privileged,
      ReadonlyRootfs: options.readOnly,
      SecurityOpt: options.securityOpt.length === 0 ? null : options.securityOpt,
      ShmSize: options.shmSize ?? 67_108_864,
      Tmpfs: Object.fromEntries(
        options.tmpfs.map((entry) => entry.split(/:(.*)/s).slice(0, 2)).map(([path, rest]) => [path, rest ?? ""]),
      ),
    },
    GraphDriver: graphDriver(engine, record),
    Mounts: options.mounts.map((mount) => ({
      Type: mount.type,
      ...(mount.name === undefined ? {} : { Name: mount.name }),
      Source: mount.source,
      Destination: mount.target,
      ...(mount.type === "volume" ? { Driver: "local" } : {}),
      Mode: mount.readOnly ? "ro" : mount.type === "volume" ? "z" : "",
      RW: !mount.readOnly,
      Propagation: mount.type === "bind" ? (mount.mountOptions?.[1] ?? "rprivate") : "",
    })),
    Config: {
      Hostname: containerHostname(record, options),
      Domainname: options.domainname ?? "",
      User: config.User ?? "",
      AttachStdin: options.attach?.includes("stdin") ?? false,
      AttachStdout: options.attach?.includes("stdout") ?? false,
      AttachStderr: options.attach?.includes("stderr") ?? false,
      ...(config.ExposedPorts === undefined ? {} : { ExposedPorts: config.ExposedPorts }),
      Tty: options.tty,
      OpenStdin: options.interactive,
      StdinOnce: options.interactive,
      Env: config.Env ?? [],
      Cmd: config.Cmd ?? null,
      ...(config.Healthcheck === undefined ? {} : { Healthcheck: config.Healthcheck }),
      Image: record.imageReference,
      Volumes: config.Volumes ?? null,
      WorkingDir: config.WorkingDir ?? "",
      Entrypoint: config.Entrypoint ?? null,
      OnBuild: config.OnBuild ?? null,
      Labels: config.Labels ?? {},
      ...(config.StopSignal === undefined ? {} : { StopSignal: config.StopSignal }),
      ...(config.StopTimeout === undefined ? {} : { StopTimeout: config.StopTimeout }),
      ...(config.Shell === undefined ? {} : { Shell: config.Shell }),
    },
    NetworkSettings: networkSettings(engine, record),
  };
}

function sizes(engine: Engine, record: ContainerRecord): Record<string, number> {
  const { written, whole } = containerSize(engine, record);
  return { SizeRw: written, SizeRootFs: whole };
}

function state(engine: Engine, record: ContainerRecord): Record<string, unknown> {
  const health = healthOf(engine, record);
  return {
    Status: record.status,
    Running: isUp(record) || record.status === "restarting",
    Paused: record.status === "paused",
    Restarting: record.status === "restarting",
    OOMKilled: record.oomKilled ?? false,
    Dead: record.status === "dead",
    Pid: isUp(record) ? record.pid : 0,
    ExitCode: record.exitCode ?? 0,
    Error: record.error ?? "",
    StartedAt: time(record.started),
    FinishedAt: isUp(record) ? NEVER : time(record.finished),
    ...(health === undefined ? {} : { Health: health }),
  };
}

function time(milliseconds: number | undefined): string {
  return milliseconds === undefined || milliseconds === 0 ? NEVER : new Date(milliseconds).toISOString();
}

function graphDriver({ store }: Engine, record: ContainerRecord): unknown {
  const directory = store.containers.directory(record.id);
  const files = containerFiles(directory, record.id);
  // Docker's driver that copies.
  if (existsSync(files.tree)) return { Name: "vfs", Data: { MergedDir: files.tree } };
  const lower = record.layers.map((diffID) => store.layers.get(diffID)?.path ?? diffID).reverse();
  return {
    Name: "overlayfs",
    Data: {
      LowerDir: lower.join(":"),
      UpperDir: files.upper,
      WorkDir: `${directory}/work`,
      MergedDir: files.rootfs,
    },
  };
}
