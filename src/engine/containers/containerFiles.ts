import { dirname, join } from "node:path";

/** The files of a container, below `store.containers.directory(id)`, which is its OCI bundle too. */
export interface ContainerFiles {
  directory: string;
  /** Mount point; empty outside the container's mount namespace. */
  rootfs: string;
  upper: string;
  /** The root file system, of one that is made by copies. */
  tree: string;
  /** In the k8s-file format: time, stream, P or F, text. */
  log: string;
  exitDirectory: string;
  /** Made by conmon when the container ended: its exit code as text. */
  exit: string;
  pid: string;
  conmonPid: string;
  attach: string;
  control: string;
  runtimeLog: string;
}

/** Beside `containers/`: holds a file for each container whose monitor runs or was killed, so that one look tells for all that they need none. */
export function monitorsDirectory(directory: string): string {
  return join(dirname(dirname(directory)), "monitors");
}

export function containerFiles(directory: string, id: string): ContainerFiles {
  return {
    directory,
    rootfs: `${directory}/rootfs`,
    upper: `${directory}/upper`,
    tree: `${directory}/tree`,
    log: `${directory}/container.log`,
    exitDirectory: `${directory}/exit`,
    exit: `${directory}/exit/${id}`,
    pid: `${directory}/pidfile`,
    conmonPid: `${monitorsDirectory(directory)}/${id}`,
    attach: `${directory}/attach`,
    control: `${directory}/ctl`,
    runtimeLog: `${directory}/runtime.log`,
  };
}
