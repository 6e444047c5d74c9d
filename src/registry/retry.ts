export interface Patience {
  /** A server that gives no sign of life for so long is given up and asked anew. Milliseconds. */
  stall: number;
  /** The same at the end of an upload: a registry may have to copy the whole blob before it answers. */
  finish: number;
  firstWait: number;
  tries: number;
}

export const usual: Patience = { stall: 30_000, finish: 300_000, firstWait: 250, tries: 5 };
const MAX_WAIT_MS = 30_000;

/** A failure that may pass: what a connection throws, and answers that ask to come again. */
export class Transient extends Error {
  constructor(
    message: string,
    readonly retryAfterMs?: number,
    cause?: unknown,
    /** False where another try now would meet the same. */
    readonly again = true,
  ) {
    super(message, cause === undefined ? undefined : { cause });
  }
}

export function isTransientStatus(status: number): boolean {
  return status === 408 || status === 429 || status === 499 || (status >= 500 && status !== 501 && status !== 505);
}

/** Retry-After (RFC 9110, 10.2.3) in milliseconds: seconds, or a date. */
export function retryAfter(response: Response): number | undefined {
  const text = response.headers.get("retry-after");
  if (text === null) return undefined;
  const seconds = Number(text);
  const wait = Number.isNaN(seconds) ? Date.parse(text) - Date.now() : seconds * 1000;
  return Number.isNaN(wait) ? undefined : Math.min(MAX_WAIT_MS, Math.max(0, wait));
}

/** Tries again what fails by a `Transient`, after waits that double, with jitter, or what the server asked for. */
export async function retrying<T>(
  work: (attempt: number) => Promise<T>,
  signal: AbortSignal,
  patience: Patience = usual,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    try {
      return await work(attempt);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof Transient) || !error.again || attempt >= patience.tries) throw error;
      await backOff(error, attempt, signal, patience);
    }
  }
}

/** The wait before try number `attempt + 1`. */
export function backOff(error: unknown, attempt: number, signal: AbortSignal, patience: Patience): Promise<void> {
  const wait = patience.firstWait * 2 ** (attempt - 1) * (0.75 + Math.random() / 2);
  const asked = error instanceof Transient ? error.retryAfterMs : undefined;
  return sleep(asked ?? Math.min(MAX_WAIT_MS, wait), signal);
}

/** Rejects with the signal's reason when that comes first. */
export function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(done, milliseconds);
    function done(): void {
      signal.removeEventListener("abort", aborted);
      resolve();
    }
    function aborted(): void {
      clearTimeout(timer);
      reject(signal.reason);
    }
    signal.addEventListener("abort", aborted, { once: true });
  });
}

/** The next piece. @throws `Transient` where none comes for `stall` milliseconds */
export async function readInTime(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  stall: number,
): Promise<Awaited<ReturnType<typeof reader.read>>> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stalled = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Transient(`nothing came for ${stall / 1000} s`)), stall);
  });
  try {
    return await Promise.race([reader.read(), stalled]);
  } finally {
    clearTimeout(timer);
  }
}
