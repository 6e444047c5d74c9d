import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Linux } from "../linux/Linux.ts";
import { AT_FDCWD, LOCK_EX, LOCK_NB, O_CLOEXEC, O_CREAT, O_RDWR } from "../linux/constants.ts";
import { unlinkIfThere } from "./unlinkIfThere.ts";

export interface Locks {
  lock(key: string): Promise<() => void>;
  tryLock(key: string): (() => void) | undefined;
  locked<T>(key: string, work: () => Promise<T>): Promise<T>;
  /** Removes what killed holders have left. */
  sweep(): void;
}

/** A file that is younger may be about to be locked. */
const SWEPT_AFTER_MS = 2000;

/** First and longest pause between two tries while another process holds the key. */
const FIRST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 50;

/** `flock` on `<root>/locks/<hash>`; a file lives as long as somebody holds or waits for it. Within the process callers queue up. */
export function createLocks(linux: Linux, root: string): Locks {
  /** Per key: the end of the queue. */
  const queues = new Map<string, Promise<void>>();

  function path(key: string): string {
    return join(root, "locks", Bun.SHA256.hash(key, "hex").slice(0, 32));
  }

  /** Undefined where another process holds it. */
  function acquire(file: string): (() => void) | undefined {
    for (;;) {
      const fd = linux.openat(AT_FDCWD, file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600);
      if (!linux.flock(fd, LOCK_EX | LOCK_NB)) {
        linux.close(fd);
        return undefined;
      }
      // The holder before us unlinked the file after we had opened it: ours is a lock on nothing.
      if (linux.statatOrUndefined(AT_FDCWD, file)?.ino === linux.statat(fd, "").ino) return () => release(file, fd);
      linux.close(fd);
    }
  }

  function release(file: string, fd: number): void {
    try {
      unlinkIfThere(linux, file);
    } finally {
      linux.close(fd);
    }
  }

  /** The queue's turn, once: `leave` lets the next one in. */
  function enter(file: string): { turn: Promise<void>; leave: () => void } {
    const turn = queues.get(file) ?? Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    queues.set(file, promise);
    return {
      turn,
      leave() {
        if (queues.get(file) === promise) queues.delete(file);
        resolve();
      },
    };
  }

  function once(work: () => void): () => void {
    let done = false;
    return () => {
      if (done) return;
      done = true;
      work();
    };
  }

  async function lock(key: string): Promise<() => void> {
    const file = path(key);
    const { turn, leave } = enter(file);
    try {
      await turn;
      for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
        const free = acquire(file);
        if (free !== undefined) {
          return once(() => {
            try {
              free();
            } finally {
              leave();
            }
          });
        }
        await Bun.sleep(pause);
      }
    } catch (error) {
      leave();
      throw error;
    }
  }

  return {
    lock,
    sweep() {
      for (const name of readdirSync(join(root, "locks"))) {
        const file = join(root, "locks", name);
        const made = statSync(file, { throwIfNoEntry: false })?.mtimeMs;
        if (made !== undefined && made < Date.now() - SWEPT_AFTER_MS) acquire(file)?.();
      }
    },
    tryLock(key) {
      const file = path(key);
      if (queues.has(file)) return undefined;
      const free = acquire(file);
      if (free === undefined) return undefined;
      const { leave } = enter(file);
      return once(() => {
        try {
          free();
        } finally {
          leave();
        }
      });
    },
    async locked(key, work) {
      const free = await lock(key);
      try {
        return await work();
      } finally {
        free();
      }
    },
  };
}
