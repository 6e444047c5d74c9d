import type { Digest } from "../oci/digest.ts";
import type { SourceRange } from "../oci/SlipwayError.ts";
import type { MissChange } from "../solve/explain/explainMiss.ts";

/** What the verbs tell while they work. Times are milliseconds since the epoch, sizes bytes. The engine itself prints nothing. */
export type EngineEvent =
  | PullEvent
  | PushEvent
  | CopyEvent
  | BuildEvent
  | { type: "warning"; message: string; range?: SourceRange }
  /** For who asks how it works: shown with `--debug`. */
  | { type: "debug"; message: string };

export type PullEvent =
  | { type: "pull.start"; reference: string }
  | {
      type: "pull.layer";
      digest: Digest;
      status: "waiting" | "downloading" | "verifying" | "extracting" | "done" | "exists";
      current?: number;
      total?: number;
    }
  | { type: "pull.done"; reference: string; digest: Digest /** False when the store had it all. */; updated: boolean };

/** A layer is named by its diffID. */
export type PushEvent =
  | { type: "push.start" /** `docker.io/library/alpine` */; repository: string }
  | {
      type: "push.layer";
      diffID: Digest;
      status: "preparing" | "waiting" | "pushing" | "pushed" | "exists" | "mounted";
      current?: number;
      total?: number;
      /** The repository that it was mounted from. */
      from?: string;
    }
  /** Of the index that the name came as not all is here: `images` went, one by its manifest, several by a new index. */
  | { type: "push.partial"; source: Digest; digest: Digest; images: number }
  | { type: "push.done"; tag: string; digest: Digest /** Bytes of the manifest. */; size: number };

/** A blob that goes from one place outside of the store to another. */
export interface CopyEvent {
  type: "copy.blob";
  digest: Digest;
  status: "copying" | "copied" | "exists" | "mounted";
  current?: number;
  total?: number;
}

/** One vertex is one numbered step of the progress display. */
export type BuildEvent =
  | { type: "step.plan"; steps: { id: string; name: string; stage?: string }[] }
  | { type: "step.start"; id: string; name: string; time: number }
  | { type: "step.log"; id: string; stream: 1 | 2; data: Uint8Array; time: number }
  | {
      type: "step.status";
      id: string;
      key: string;
      text: string;
      current?: number;
      total?: number;
      time: number;
      done?: boolean;
    }
  /** `reason`: why it ran; `changes`: all that changed since it ran last. */
  | {
      type: "step.done";
      id: string;
      time: number;
      cached: boolean;
      reason?: string;
      changes?: MissChange[];
      layer?: Digest;
    }
  /** `open`: the terminal is a shell's from now on; otherwise it is ours again, or no shell could be opened. */
  | { type: "step.shell"; id: string; time: number; open: boolean; message: string }
  | { type: "step.error"; id: string; time: number; message: string; canceled?: boolean };

export type Emit = (event: EngineEvent) => void;
