import type { Contender } from "./measure.ts";
import type { Peers } from "./peers.ts";

/** What a scenario has at hand. */
export interface Bench {
  slipway: { command: string[]; env: Record<string, string> };
  peers: Peers | undefined;
  /** An empty folder of the scenario's own, seen by the peers under the same path. */
  folder: string;
  /** Registry with `library/busybox` and `big`: `127.0.0.1:PORT`. */
  registry: string;
  /** Another registry on loopback, which `empty` takes everything from. */
  emptyRegistry: { host: string; empty(): void };
  /** Runs a command that must succeed. Not measured. */
  must(command: string[], env?: Record<string, string>): void;
  /** Runs a command whatever comes of it. */
  may(command: string[], env?: Record<string, string>): void;
}

export interface Scenario {
  name: string;
  title: string;
  /** The registry is to have the image `big`. */
  big?: boolean;
  /** No more than so many runs are measured, where one is long. */
  runs?: number;
  contenders(bench: Bench): Contender[];
  /** Ends what they have left running. */
  end?(bench: Bench): void;
}
