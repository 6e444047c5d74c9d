import { readBootId } from "./leases.ts";
import type { Settings } from "./Store.ts";

/**
 * What was written in a boot and may not have reached the disk when the machine stops. Nobody waits for the disk while a pull or a build is under
 * way; instead a mark says since when there are such files, and the first command after a restart looks at them (`recoverLayers`).
 */
export interface Doubt {
  /** To be called before the first of such files is made; cheap. */
  begin(): void;
  /** Since when, in milliseconds, files of an earlier boot are in doubt; undefined where none are. */
  ofEarlierBoot(): number | undefined;
  /** All that was written before `time` (ms) is on the disk. */
  endBefore(time: number): void;
  /** All of it was looked at. */
  end(): void;
}

const KEY = "unsettled";

interface Mark {
  boot: string;
  since: number;
}

export function createDoubt(settings: Settings): Doubt {
  let begun = false;

  function mark(): Mark | undefined {
    const text = settings.get(KEY);
    return text === undefined ? undefined : (JSON.parse(text) as Mark);
  }

  function set(since: number): void {
    settings.set(KEY, JSON.stringify({ boot: readBootId(), since } satisfies Mark));
  }

  return {
    begin() {
      if (!begun && mark() === undefined) set(Date.now());
      begun = true;
    },
    ofEarlierBoot() {
      const found = mark();
      return found === undefined || found.boot === readBootId() ? undefined : found.since;
    },
    endBefore(time) {
      if (mark() !== undefined) set(time);
    },
    end: () => settings.delete(KEY),
  };
}
