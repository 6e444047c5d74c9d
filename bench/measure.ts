/** One command of one tool, run again and again as a whole process. */
export interface Contender {
  name: string;
  command: string[];
  env?: Record<string, string>;
  cwd?: string;
  /** Brings things back to where the command has all its work to do. Not measured. */
  prepare?: () => void;
  /** Once, when all is done: takes away what outlives the bench's own folder. */
  clean?: () => void;
}

export interface Measured {
  name: string;
  /** Seconds, sorted. */
  seconds: number[];
  /** Largest resident set of the process itself (not of daemons or children that go on), bytes. */
  peak: number;
}

/** What a daemon, a monitor or the kernel still does after a client has ended is not measured with the next contender. */
const SETTLE_MS = 400;

/**
 * Runs every contender `runs` times, taking turns, so that what else the machine does meets all alike; one round before is not counted.
 * A contender whose command fails in that round is left out and `onSkip` hears why.
 */
export function measure(
  contenders: Contender[],
  { runs, onSkip }: { runs: number; onSkip: (name: string, reason: string) => void },
): Measured[] {
  try {
    return inTurns(contenders, { runs, onSkip });
  } finally {
    for (const { clean } of contenders) clean?.();
  }
}

function inTurns(
  contenders: Contender[],
  { runs, onSkip }: { runs: number; onSkip: (name: string, reason: string) => void },
): Measured[] {
  const results = new Map<Contender, Measured>();
  for (const contender of contenders) {
    const complaint = firstTime(contender);
    if (complaint === undefined) results.set(contender, { name: contender.name, seconds: [], peak: 0 });
    else onSkip(contender.name, complaint);
  }
  for (let round = 0; round < runs; round++) {
    for (const [contender, result] of results) {
      const { seconds, peak, complaint } = once(contender);
      if (complaint !== undefined) throw new Error(`${contender.name} failed in round ${round + 1}: ${complaint}`);
      result.seconds.push(seconds);
      result.peak = Math.max(result.peak, peak);
    }
  }
  for (const { seconds } of results.values()) seconds.sort((a, b) => a - b);
  return [...results.values()];
}

function firstTime(contender: Contender): string | undefined {
  try {
    return once(contender).complaint;
  } catch (error) {
    return (error as Error).message; // what it needs cannot be brought here
  }
}

export function median(sorted: number[]): number {
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function once({ command, env, cwd, prepare }: Contender): { seconds: number; peak: number; complaint?: string } {
  prepare?.();
  Bun.sleepSync(SETTLE_MS);
  const started = performance.now();
  const { exitCode, stderr, resourceUsage } = Bun.spawnSync(command, {
    env: { ...process.env, ...env },
    ...(cwd === undefined ? {} : { cwd }),
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const seconds = (performance.now() - started) / 1000;
  const measured = { seconds, peak: resourceUsage?.maxRSS ?? 0 };
  if (exitCode === 0) return measured;
  const last = stderr.toString().trim().split("\n").at(-1) ?? "";
  return { ...measured, complaint: `exit code ${exitCode}: ${last}` };
}
