import { killVerified } from "../../runtime/runtimeState.ts";
import { writeFileSync } from "node:fs";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { ContainerRecord } from "../../store/Store.ts";
import { type AttachSocket, connectAttachSocket } from "./attachSocket.ts";
import { containerFiles } from "./containerFiles.ts";
import { containerOptions } from "./ContainerOptions.ts";
import { attachLock, refreshContainer } from "./containerState.ts";
import { createDetachWatcher, DEFAULT_DETACH_KEYS, parseDetachKeys } from "./detachKeys.ts";
import type { Engine, Streams } from "../Engine.ts";
import { recordContainerEvent } from "../events/eventLog.ts";
import { enterRawMode } from "./rawMode.ts";
import { parseSignal } from "./signals.ts";
import { waitContainer } from "./waitContainer.ts";

const PROXIED = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGCONT", "SIGTSTP"] as const;

export interface AttachOptions {
  /** Start it first, attached from its first byte on. */
  start?: boolean;
  /** Docker's text form; the container's own, then ctrl-p,ctrl-q, where not said. */
  detachKeys?: string | undefined;
  /** Signals to this process go to the container. Default: yes. */
  sigProxy?: boolean;
  /** Only these of stdin, stdout and stderr. */
  attach?: string[] | undefined;
}

/**
 * Joins the user's streams to the container's until it ends; resolves with its exit code, or with 0 when the keys ctrl-p ctrl-q detach.
 * A container of `--rm` is gone by then. While attached, signals to this process go to the container, except those that a terminal in
 * raw mode sends as keys. @throws SlipwayError `CONTAINER_NOT_RUNNING`, and what `startContainer` throws
 */
export async function attachContainer(
  engine: Engine,
  nameOrId: string,
  streams: Streams,
  options: AttachOptions = {},
): Promise<number> {
  const { store } = engine;
  const record = refreshContainer(engine, store.containers.find(nameOrId));
  const settings = containerOptions(record);
  const wants = (stream: string): boolean => options.attach?.includes(stream) ?? true;
  const keys = parseDetachKeys(options.detachKeys ?? settings.detachKeys ?? DEFAULT_DETACH_KEYS);
  if (record.status === "paused") {
    throw new SlipwayError("CONTAINER_PAUSED", "you cannot attach to a paused container, unpause it first");
  }
  const output = (stream: 1 | 2, bytes: Uint8Array): void => {
    if (stream === 1 && wants("stdout")) streams.stdout(bytes);
    if (stream === 2 && wants("stderr")) streams.stderr(bytes);
  };
  const terminal = settings.tty && streams.terminal !== undefined ? streams.terminal : undefined;

  const undo: (() => void)[] = [];
  const release = record.autoRemove ? store.tryLock(attachLock(record.id)) : undefined;
  if (release !== undefined) undo.push(release);
  try {
    const { socket, running } = await join(engine, record, { start: options.start === true, terminal, output });
    if (options.sigProxy !== false) proxySignals(running, terminal, undo);
    followWindowSize(engine, running, terminal, undo);
    recordContainerEvent(engine, running, "attach");
    const detached = wants("stdin")
      ? forwardInput(running, streams, { terminal, keys }, socket, undo)
      : new Promise<never>(() => undefined);
    const how = await Promise.race([socket.closed.then(() => "ended" as const), detached]);
    if (how === "detached") {
      socket.close();
      recordContainerEvent(engine, running, "detach");
      return 0;
    }
    return await waitContainer(engine, record.id, { remove: record.autoRemove });
  } finally {
    for (const step of undo.toReversed()) step();
  }
}

/** Connects to a running container, or to one that is about to be let go. */
async function join(
  engine: Engine,
  record: ContainerRecord,
  options: { start: boolean; terminal: number | undefined; output: (stream: 1 | 2, bytes: Uint8Array) => void },
): Promise<{ socket: AttachSocket; running: ContainerRecord }> {
  const { containers, linux } = engine.store;
  const connect = async (path: string): Promise<AttachSocket> => {
    const socket = await connectAttachSocket(linux, path, options.output);
    if (options.terminal !== undefined) sendWindowSize(engine, record, options.terminal);
    return socket;
  };
  if (record.status === "running") {
    const { attach } = containerFiles(containers.directory(record.id), record.id);
    return { socket: await connect(attach), running: record };
  }
  if (!options.start) {
    throw new SlipwayError("CONTAINER_NOT_RUNNING", `container ${record.name} is not running`, {
      hint: `Start it: slipway start -ai ${record.name}`,
    });
  }
  const { launchContainer } = await import("./launchContainer.ts");
  const { promise, resolve } = Promise.withResolvers<AttachSocket>();
  const running = await launchContainer(engine, record, {
    detached: false,
    beforeStart: async (path) => resolve(await connect(path)),
  });
  return { socket: await promise, running };
}

function proxySignals(record: ContainerRecord, terminal: number | undefined, undo: (() => void)[]): void {
  for (const name of PROXIED) {
    // Stopping ourselves is the shell's business when the container has no part in our terminal.
    if (terminal === undefined && (name === "SIGTSTP" || name === "SIGCONT")) continue;
    const listener = (): void => void killVerified(record.pid, record.pidStart, parseSignal(name));
    process.on(name, listener);
    undo.push(() => process.off(name, listener));
  }
}

function followWindowSize(
  engine: Engine,
  record: ContainerRecord,
  terminal: number | undefined,
  undo: (() => void)[],
): void {
  if (terminal === undefined) return;
  const onResize = (): void => sendWindowSize(engine, record, terminal);
  process.on("SIGWINCH", onResize);
  undo.push(() => process.off("SIGWINCH", onResize));
}

/** Resolves when the user detaches; never otherwise. */
function forwardInput(
  record: ContainerRecord,
  streams: Streams,
  { terminal, keys }: { terminal: number | undefined; keys: number[] },
  socket: AttachSocket,
  undo: (() => void)[],
): Promise<"detached"> {
  const { promise, resolve } = Promise.withResolvers<"detached">();
  if (!containerOptions(record).interactive || (terminal === undefined && streams.stdin === undefined)) return promise;
  const raw = terminal === undefined ? undefined : enterRawMode(terminal);
  if (raw !== undefined) undo.push(raw);
  const watch = terminal === undefined ? undefined : createDetachWatcher((bytes) => socket.write(bytes), keys);
  const reader = Bun.file((streams.stdin ?? terminal) as number)
    .stream()
    .getReader();
  undo.push(() => void reader.cancel().catch(() => undefined));
  const pump = async (): Promise<void> => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return socket.endInput();
      if (watch === undefined) socket.write(value);
      else if (watch(value)) return resolve("detached");
      await socket.drained();
    }
  };
  // A standard input that cannot be read (closed, or a terminal we do not own) is one at its end.
  pump().catch(() => socket.endInput());
  return promise;
}

function sendWindowSize(engine: Engine, record: ContainerRecord, terminal: number): void {
  const { linux, containers } = engine.store;
  try {
    const { rows, columns } = linux.getWindowSize(terminal);
    if (rows === 0 || columns === 0) return;
    writeFileSync(containerFiles(containers.directory(record.id), record.id).control, `1 ${rows} ${columns}\n`, {
      flag: "r+",
    });
  } catch {
    // not a terminal after all, or the container has just ended
  }
}
