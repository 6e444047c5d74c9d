import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Linux } from "../linux/Linux.ts";
import { processStart } from "../linux/processStart.ts";
import type { Records } from "./database.ts";
import { removeTree } from "./removeTree.ts";
import { spread } from "./spread.ts";
import type { Lease } from "./Store.ts";

/** Names one process for ever: start time in clock ticks since the boot, and which boot it was. */
export interface ProcessIdentity {
  pid: number;
  start: string;
}

/** Undefined where no such process lives. A zombie holds nothing any more and counts as dead. */
export function processIdentity(pid: number, bootId: string): ProcessIdentity | undefined {
  const start = processStart(pid);
  return start === undefined ? undefined : { pid, start: `${bootId} ${start}` };
}

export function readBootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
}

export interface LeaseOptions {
  linux: Linux;
  root: string;
  records: Records;
  /** Ends what the lease protects: see disposal.ts. */
  letGo(id: string): void;
}

/** Recorded before anything of it lies on the disk, and forgotten after all of it is gone. */
export function createLease({ linux, root, records, letGo }: LeaseOptions, purpose: string): Lease {
  const id = `${Date.now().toString(36)}-${crypto.randomUUID().slice(0, 13)}`;
  const self = processIdentity(process.pid, readBootId());
  if (self === undefined) throw new Error("/proc does not show this process");
  records.run("INSERT INTO leases (id, pid, start, purpose) VALUES (?, ?, ?, ?)", id, self.pid, self.start, purpose);
  const own = join(root, "tmp", id);
  const suffix = id.slice(-4); // see spread.ts
  let directories = 0;
  let released = false;
  function hold(kind: string, name: string): void {
    if (released) throw new Error(`lease ${id} (${purpose}) was released`);
    records.run("INSERT OR IGNORE INTO lease_items (digest, kind, lease) VALUES (?, ?, ?)", name, kind, id);
  }

  return {
    id,
    protect: hold,
    protectCacheMount: (name) => hold("cache mount", name),
    directory() {
      if (released) throw new Error(`lease ${id} (${purpose}) was released`);
      if (directories === 0) {
        mkdirSync(own, { mode: 0o700 });
        spread(linux, own);
      }
      directories++;
      const path = join(own, `${directories.toString(36)}-${suffix}`);
      mkdirSync(path, { mode: 0o700 });
      return path;
    },
    release() {
      if (released) return;
      released = true;
      // Files go for good: not before it is certain what the records say.
      records.afterCommit(() => {
        if (directories > 0) removeTree(linux, own);
        records.transaction(() => {
          letGo(id);
          records.run("DELETE FROM leases WHERE id = ?", id);
        });
      });
    },
  };
}
