import { constants } from "node:os";
import type { Linux } from "./Linux.ts";
import { LinuxError } from "./LinuxError.ts";

/** One call as data. Bytes are a copy of what they were when the call began. */
export interface LinuxCall {
  name: keyof Linux;
  args: readonly unknown[];
}

/** What a call gives instead of going to the kernel: its result, or an errno's name (`ENOSYS`). */
export type LinuxAnswer<Name extends keyof Linux> = { value: ReturnType<Linux[Name]> } | { errno: string };

export interface AnswerOptions<Name extends keyof Linux> {
  /** Only calls with such arguments. */
  when?: (...args: Parameters<Linux[Name]>) => boolean;
  /** Only so many calls; then they go to the kernel again. */
  times?: number;
}

export interface RecordingLinux {
  linux: Linux;
  /** The calls since the last `take`, the oldest first; those that failed are among them. */
  take(): LinuxCall[];
  /** Answers calls of `name` from now on. The latest answer that fits counts. */
  answer<Name extends keyof Linux>(name: Name, answer: LinuxAnswer<Name>, options?: AnswerOptions<Name>): void;
}

/** The twin of `createLinux` for tests: each call is kept, and goes on to `linux` where no answer is prepared for it. */
export function recordingLinux(linux: Linux): RecordingLinux {
  let calls: LinuxCall[] = [];
  const answers: Prepared[] = [];

  function reply(name: keyof Linux, args: unknown[]): unknown {
    calls.push({ name, args: args.map((arg) => (arg instanceof Uint8Array ? arg.slice() : arg)) });
    const prepared = answers.findLast((each) => each.name === name && each.left > 0 && each.when(...args));
    if (prepared === undefined) return (linux[name] as (...args: unknown[]) => unknown)(...args);
    prepared.left--;
    if ("errno" in prepared.answer) throw new LinuxError(name, prepared.answer.errno);
    return prepared.answer.value;
  }

  const names = Object.keys(linux) as (keyof Linux)[];
  return {
    linux: Object.fromEntries(names.map((name) => [name, (...args: unknown[]) => reply(name, args)])) as never,
    take() {
      const taken = calls;
      calls = [];
      return taken;
    },
    answer(name, answer, { when = () => true, times = Number.POSITIVE_INFINITY } = {}) {
      const prepared = "errno" in answer ? { errno: errnoNumber(answer.errno) } : answer;
      answers.push({ name, answer: prepared, when: when as Prepared["when"], left: times });
    },
  };
}

interface Prepared {
  name: keyof Linux;
  answer: { value: unknown } | { errno: number };
  when: (...args: unknown[]) => boolean;
  left: number;
}

function errnoNumber(name: string): number {
  const found = (constants.errno as Record<string, number>)[name];
  if (found === undefined) throw new Error(`${name} is no errno`);
  return found;
}
