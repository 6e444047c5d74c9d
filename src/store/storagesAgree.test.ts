import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { filesOf } from "../../test/support/builtImage.ts";
import { packTree } from "../../test/support/layerTar.ts";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { describeLayer } from "../layer/packLayer.ts";
import { AT_FDCWD } from "../linux/constants.ts";
import { createLinux } from "../linux/createLinux.ts";
import { openStore } from "./openStore.ts";
import { openSnapshotter } from "./openSnapshotter.ts";
import type { LayerRecord } from "./Store.ts";

const linux = createLinux();
const isRoot = process.getuid?.() === 0;

/** A change at the path that the numbers lead to, each one choosing among what is there. */
interface Change {
  kind: "write" | "mkdir" | "remove" | "move" | "symlink" | "link" | "mode" | "owner" | "time" | "attribute" | "again";
  from: number[];
  to: number[];
  name: string;
  value: number;
}

const place = fc.array(fc.nat(7), { maxLength: 3 });
const change: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom(
    ...(["write", "write", "mkdir", "mkdir", "remove", "remove", "move", "symlink", "link"] as const),
    ...(["mode", "owner", "time", "attribute", "again"] as const),
  ),
  from: place,
  to: place,
  name: fc.constantFrom("a", "b", "c", "d"),
  value: fc.nat(3),
});
const steps = fc.array(fc.array(change, { minLength: 1, maxLength: 10 }), { minLength: 2, maxLength: 5 });

// Skipped for who is not root: it mounts.
test.skipIf(!isRoot)(
  "whatever steps do, overlayfs and copies give the same layers, and show the same files with them",
  () =>
    withTempDirectory(async (directory) => {
      const store = openStore({ root: join(directory, "store"), linux });
      const [overlay, copy] = [openSnapshotter(store, "overlay"), openSnapshotter(store, "copy")];
      const end = copy.reuse();
      fc.assert(
        fc.property(steps, (plan) => {
          const lease = store.lease("test");
          const layers: LayerRecord[] = [];
          for (const changes of plan) {
            const snapshots = [overlay, copy].map((each) =>
              each.prepare(layers, lease.directory(), { volatile: true }),
            );
            const roots = snapshots.map((each) => each.mount());
            apply(
              changes,
              roots.map((fd) => `/proc/${process.pid}/fd/${fd}`),
            );
            for (const fd of roots) linux.close(fd);
            const [one, other] = snapshots.map((each) => each.layer()) as [string, string];
            expect(linesOf(other)).toEqual(linesOf(one));
            layers.push(store.layers.adopt(one, describeLayer(linux, one), lease));
            const views = [overlay, copy].map((each) => each.view(layers));
            const [shown, copied] = views.map(({ fd }) => linesOf(`/proc/self/fd/${fd}/.`));
            for (const view of views) view.close();
            expect(copied).toEqual(shown as string[]);
          }
          lease.release();
        }),
        { numRuns: 40 },
      );
      end();
      store.close();
    }),
  60_000,
);

/** Does each change to all roots, decided by what the first one has. */
function apply(changes: Change[], roots: string[]): void {
  const first = roots[0] as string;
  // A file with several names below is one to copies and several to overlayfs, as soon as it is written to (docs/isolation.md): such are left as they are.
  const linked = new Set(
    namesOf(first).filter((path) => lstatSync(join(first, path)).nlink > 1 && !isDirectory(first, path)),
  );
  for (const { kind, from, to, name, value } of changes) {
    const source = choose(first, from);
    const folder = chooseFolder(first, to);
    const target = join(folder, name);
    const there = lstatSync(join(first, target), { throwIfNoEntry: false });
    const each = (work: (root: string) => void): void => roots.forEach(work);
    const isLink = source !== "" && lstatSync(join(first, source)).isSymbolicLink();
    switch (kind) {
      case "write":
        if (there?.isDirectory()) break;
        each((root) => {
          if (there !== undefined && (linked.has(target) || there.isSymbolicLink())) rmSync(join(root, target));
          writeFileSync(join(root, target), "x".repeat(value));
        });
        linked.delete(target);
        break;
      case "again": // made anew, as it was
        if (there?.isFile() !== true || linked.has(target)) break;
        each((root) => {
          const { mtimeSec: sec, mtimeNsec: nsec, mode, uid, gid } = linux.statat(AT_FDCWD, join(root, target));
          const content = new Uint8Array(linux.statat(AT_FDCWD, join(root, target)).size).fill(120);
          rmSync(join(root, target));
          writeFileSync(join(root, target), content);
          chownSync(join(root, target), uid, gid);
          chmodSync(join(root, target), mode & 0o7777);
          linux.utimensat(AT_FDCWD, join(root, target), { sec, nsec });
        });
        break;
      case "mkdir":
        if (there === undefined) each((root) => mkdirSync(join(root, target)));
        break;
      case "remove":
        if (source !== "") each((root) => rmSync(join(root, source), { recursive: true }));
        break;
      case "symlink":
        if (there === undefined) each((root) => symlinkSync(`target${value}`, join(root, target)));
        break;
      case "link":
        if (there !== undefined || source === "" || isDirectory(first, source)) break;
        each((root) => linkSync(join(root, source), join(root, target)));
        linked.add(source);
        linked.add(target);
        break;
      case "move":
        if (source === "" || there !== undefined || target.startsWith(`${source}/`) || hasLinked(linked, source)) break;
        move(roots, source, target);
        break;
      default:
        if (source === "" || linked.has(source) || isLink) break;
        each((root) => {
          const path = join(root, source);
          if (kind === "mode") chmodSync(path, [0o644, 0o755, 0o4711, 0o700][value] as number);
          else if (kind === "owner") chownSync(path, value, 3 - value);
          else if (kind === "time") utimesSync(path, value, value);
          else if (value === 0) linux.removexattr(AT_FDCWD, path, "user.test");
          else linux.setxattr(AT_FDCWD, path, "user.test", Uint8Array.of(value));
        });
    }
  }
}

/** Where the first refuses to rename, as overlayfs does with what it has merged, all are copied, as mv(1) does. */
function move(roots: string[], source: string, target: string): void {
  for (const [i, root] of roots.entries()) {
    try {
      renameSync(join(root, source), join(root, target));
    } catch (error) {
      if (i > 0 || (error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
      for (const each of roots) {
        if (!Bun.spawnSync(["cp", "-a", join(each, source), join(each, target)]).success) throw new Error("no cp");
        rmSync(join(each, source), { recursive: true });
      }
      return;
    }
  }
}

/** "" where there is nothing. */
function choose(root: string, way: number[]): string {
  let path = "";
  for (const step of way) {
    if (path !== "" && !isDirectory(root, path)) break;
    const names = readdirSync(join(root, path)).sort();
    if (names.length === 0) break;
    path = join(path, names[step % names.length] as string);
  }
  return path;
}

function chooseFolder(root: string, way: number[]): string {
  let path = "";
  for (const step of way) {
    const names = readdirSync(join(root, path))
      .sort()
      .filter((name) => isDirectory(root, join(path, name)));
    if (names.length === 0) break;
    path = join(path, names[step % names.length] as string);
  }
  return path;
}

function namesOf(root: string, path = ""): string[] {
  return readdirSync(join(root, path)).flatMap((name) => {
    const here = join(path, name);
    return isDirectory(root, here) ? [here, ...namesOf(root, here)] : [here];
  });
}

function hasLinked(linked: Set<string>, source: string): boolean {
  return [...linked].some((path) => path === source || path.startsWith(`${source}/`));
}

function isDirectory(root: string, path: string): boolean {
  return lstatSync(join(root, path)).isDirectory();
}

/** What the tar says but for times that are now, which no two steps have alike. */
function linesOf(directory: string): string[] {
  return [...filesOf(packTree(linux, directory))].map(
    ([path, { type, mode, uid, gid, text, linkname, xattrs, mtime }]) => {
      const attributes = xattrs.map(([name, value]) => `${name}=${value}`);
      const time = mtime.sec < 10 ? mtime.sec : "now";
      return [
        path,
        type,
        mode.toString(8),
        uid,
        gid,
        text,
        linkname,
        ...attributes,
        type === "directory" ? "" : time,
      ].join(" ");
    },
  );
}
