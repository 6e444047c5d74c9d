/** A server that says nothing for so long is given up and asked anew. */
export const STALL_MS = 30_000;
const TRIES = 4;
const FIRST_WAIT_MS = 250;
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
export async function retrying<T>(work: (attempt: number) => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    try {
      return await work(attempt);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof Transient) || !error.again || attempt >= TRIES) throw error;
      const backoff = FIRST_WAIT_MS * 2 ** (attempt - 1) * (0.75 + Math.random() / 2);
      await sleep(error.retryAfterMs ?? backoff, signal);
    }
  }
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
