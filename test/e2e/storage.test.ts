import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StorageName } from "../../src/store/Snapshotter.ts";
import { type Rung, rungs } from "../support/rungs.ts";
import { type Caller, type Slipway, withSlipway } from "../support/withSlipway.ts";

/** What a storage could make of a step in its own way: each line of files has been an odd case of one of them. */
const DOCKERFILE = `
FROM alpine AS tools
RUN mkdir -p /d/sub /gone/deep /moved /back && echo 1 >/d/a && echo 2 >/d/sub/b && echo 3 >/gone/deep/c && echo 4 >/back/e \\
 && touch -d @1000000000 /back/e /back && echo 5 >/same && touch -d @1000000000 /same && echo 6 >/link && chmod 4755 /d/a
FROM tools
RUN rm /d/a && rm -r /gone && mkdir /gone && echo n >/gone/n
RUN mv /d /moved/ && mv /back /away && mv /away /back && chmod 644 /same && mkdir -p /new/er && mkdir /x && mv /x /new/er/
RUN ln /link /linked && echo 7 >/h && ln /h /h2 && mkfifo /pipe && echo 9 >/same && touch -d @1000000000 /same
RUN true
RUN rm /h2 /pipe && touch /etc/passing && rm /etc/passing && rm -r /moved/d && echo file >/moved/d
COPY --chmod=640 file link made/
COPY --from=tools /d /copied
RUN --mount=type=bind,from=tools,target=/bound --mount=type=bind,from=tools,target=/over,rw --mount=type=cache,target=/cache \\
    cp -a /bound/d/sub /got && echo w >/over/w && rm /over/link && ls /over/d >/seen && echo c >/cache/c
`;

/** In a mount namespace of each command's own, where store and run directory lie on a file system as /run/user and many a /home are. */
const ON_LOCKED_FLAGS = inNamespace(
  'd=$(dirname "$SLIPWAY_ROOT") && mount --rbind "$d" "$d" && mount -o remount,bind,nosuid,nodev "$d" && cd "$PWD"',
);

const layers = new Map<string, string>();
const held: (() => void)[] = [];
afterAll(() => {
  for (const each of held) each();
});

for (const storage of ["overlay", "fuse", "copy"] as const) storageTest(rungs.root, storage);
for (const storage of ["fuse", "copy"] as const) storageTest(rungs.namespace, storage);

function storageTest(rung: Rung, storage: StorageName): void {
  const caller = callerOf(rung, storage);
  const name = `${rung.name}, ${storage}: makes the layers that every storage makes; containers run, are compared, committed, started again and removed`;
  if (caller !== undefined && "missing" in caller) test.skip(`${name} (skipped: ${caller.missing})`, () => {});
  else test(name, () => withSlipway(check, { storage, ...(caller === undefined ? {} : { caller }) }), 120_000);

  async function check(slipway: Slipway): Promise<void> {
    writeFileSync(join(slipway.directory, "file"), "text\n");
    symlinkSync("file", join(slipway.directory, "link"));
    const args = ["--progress=plain", "--build-arg", "SOURCE_DATE_EPOCH=1100000000", "-t", "built"];
    const build = () => slipway.run(["build", ...args, "-f", "-", "."], { input: DOCKERFILE });
    await build();
    const diffIDs = await slipway.text("image", "inspect", "--format", "{{json .RootFS.Layers}}", "built");
    layers.set(`${rung.name} ${storage}`, diffIDs);
    expect(diffIDs).toBe(layers.values().next().value as string);
    expect((await build()).stderr.match(/CACHED/g)?.length).toBeGreaterThan(8);

    const image = ["--mount", "type=image,source=alpine,target=/image"];
    const inside =
      "ls /image/bin/sh; ls -d /moved/d /gone/* /back/e /new/er/x; cat /same /linked /seen; stat -c %a /copied/a; test ! -e /bound && test ! -e /over";
    expect(await slipway.text("run", "--rm", "--network=host", ...image, "built", "sh", "-c", inside)).toBe(
      "/image/bin/sh\n/back/e\n/gone/n\n/moved/d\n/new/er/x\n9\n6\na\nsub\n4755",
    );
    const { Storage } = JSON.parse(await slipway.text("info", "--format", "json"));
    expect(Storage.name).toBe(storage);

    const started = "echo a >>/added; echo changed >>/seen; rm -f /got/b; chown 9:9 /h; exec sleep 300";
    await slipway.run(["run", "-d", "--network=host", "--name=cc", "built", "sh", "-c", started]);
    const until = async (): Promise<void> => {
      while ((await slipway.run(["exec", "cc", "stat", "-c", "%u", "/h"])).stdout.trim() !== "9") await Bun.sleep(20);
    };
    await until();
    const changed = "A /added\nC /got\nD /got/b\nC /h\nC /seen";
    expect(await slipway.text("diff", "cc")).toBe(changed);
    expect(await slipway.text("ps", "-s", "--format", "{{.Size}}")).toStartWith("18B");
    await slipway.run(["commit", "cc", "committed"]);
    await slipway.run(["stop", "-t", "0", "cc"]);
    expect(await slipway.text("diff", "cc")).toBe(changed);
    await slipway.run(["start", "cc"]);
    await until();
    expect(await slipway.text("exec", "cc", "sh", "-c", "cat /added; grep -c changed /seen")).toBe("a\na\n2");
    await slipway.run(["cp", "file", "cc:/copied-in"]);
    await slipway.run(["stop", "-t", "0", "cc"]);
    await slipway.run(["cp", "cc:/copied-in", "out"]);
    await slipway.run(["export", "-o", "c.tar", "cc"]);
    const listed = Bun.spawnSync(["tar", "-tf", join(slipway.directory, "c.tar")]).stdout.toString();
    expect(["added", "copied-in", "got/b", "link"].map((path) => listed.includes(`${path}\n`))).toEqual([
      true,
      true,
      false,
      true,
    ]);
    const seen = "cat /added; ls /got; stat -c %u /h";
    expect(await slipway.text("run", "--rm", "--network=host", "committed", "sh", "-c", seen)).toBe("a\n9");

    await slipway.run(["rm", "cc"]);
    await slipway.run(["system", "prune", "-af"]);
    for (const place of ["layers", "containers", "tmp"])
      expect([place, readdirSync(join(slipway.root, place))]).toEqual([place, []]);
  }
}

/** Who calls, with what the storage takes. */
function callerOf(rung: Rung, storage: StorageName): Caller | undefined | { missing: string } {
  if (process.getuid?.() !== 0) return { missing: "only root may drop into others" };
  const caller = rung.caller();
  if (caller !== undefined && "missing" in caller) return caller;
  if (storage === "copy" && caller !== undefined) return { ...caller, prefix: [...ON_LOCKED_FLAGS, ...caller.prefix] };
  if (storage !== "fuse") return caller;
  if (Bun.which("fuse-overlayfs") === null) return { missing: "fuse-overlayfs is not installed" };
  if (statSync("/dev/fuse", { throwIfNoEntry: false }) === undefined) return { missing: "there is no /dev/fuse" };
  return caller === undefined ? undefined : withFuseDevice(caller);
}

/** With a /dev/fuse that users may open, as the distributions have it. */
function withFuseDevice(caller: Caller): Caller | { missing: string } {
  const folder = mkdtempSync(join(tmpdir(), "slipway-fuse-"));
  held.push(() => rmSync(folder, { recursive: true, force: true }));
  const device = join(folder, "fuse");
  for (const command of [
    ["mknod", device, "c", "10", "229"],
    ["chmod", "666", device],
  ])
    if (!Bun.spawnSync(command).success) return { missing: "no device can be made" };
  return { ...caller, prefix: [...inNamespace(`mount --bind ${device} /dev/fuse`), ...caller.prefix] };
}

function inNamespace(prepare: string): string[] {
  return ["unshare", "-m", "sh", "-c", `${prepare} && exec "$@"`, "sh"];
}
