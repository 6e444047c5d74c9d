import { expect } from "bun:test";
import { join } from "node:path";
import { busyboxImage } from "../../scripts/lib/busyboxImage.mjs";
import { pushImage, pushIndex } from "../../scripts/lib/pushImage.mjs";
import { writeTar } from "../../scripts/lib/writeTar.mjs";
import { withRegistry } from "../support/dockerRegistry.ts";
import { e2e } from "../support/e2e.ts";
import { withServedStore } from "../support/servedStore.ts";
import { sh } from "../support/shell.ts";

const own = process.arch === "arm64" ? "arm64" : "amd64";
const other = own === "amd64" ? "arm64" : "amd64";

const digestOf = (text: string | Uint8Array): string => `sha256:${Bun.SHA256.hash(text, "hex")}`;
const raw = (name: string): string => sh("/", `skopeo inspect --raw --tls-verify=false docker://${name}`);

/** An index as buildx pushes them, and a Windows image beside: two platforms, an attestation, an index in the index. */
async function pushApp(registry: { url: string }) {
  const busybox = busyboxImage();
  const image = (tag: string, platform: { os: string; architecture: string }, marker: string, runs = false) =>
    pushImage(registry.url, "app", tag, {
      ...busybox,
      layers: [...(runs ? busybox.layers : []), writeTar([{ path: "marker", content: marker }])],
      platform,
    });
  const mine = await image("own", { os: "linux", architecture: own }, own, true);
  const foreign = await image("other", { os: "linux", architecture: other }, other, true);
  const windows = await image("windows", { os: "windows", architecture: "amd64" }, "windows");
  const riscv = await image("riscv", { os: "linux", architecture: "riscv64" }, "riscv64");
  const attestation = await pushImage(registry.url, "app", "att", {
    layers: [writeTar([{ path: "sbom", content: "sbom" }])],
    platform: { os: "unknown", architecture: "unknown" },
  });
  const nested = await pushIndex(registry.url, "app", "nested", [riscv]);
  const index = await pushIndex(registry.url, "app", "1", [mine, foreign, windows, nested as typeof mine, attestation]);
  const annotations = {
    "vnd.docker.reference.type": "attestation-manifest",
    "vnd.docker.reference.digest": mine.digest,
  };
  const attested = await pushIndex(registry.url, "app", "attested", [mine, { ...attestation, annotations }]);
  return { index, mine, foreign, windows, riscv, attested };
}

e2e(
  "all of an index is pulled, and leaves again byte for byte: by push, save, copy and the store's own registry",
  (slipway) =>
    withRegistry((registry) =>
      withRegistry(async (second) => {
        const { directory } = slipway;
        const { index, mine, foreign, riscv } = await pushApp(registry);
        const app = `${registry.host}/app:1`;
        const pulled = await slipway.run(["pull", "--all-platforms", app]);
        expect(pulled.stdout).toContain(`Digest: ${index.digest}\nStatus: Downloaded newer image for ${app}`);
        expect((await slipway.run(["pull", "--all-platforms", app])).stdout).toContain("Image is up to date");
        await slipway.run(["pull", "--platform", "linux/s390x", "--all-platforms", app], { exit: 1 });

        // One name, its platforms below it.
        expect((await slipway.text("images", "-q", "--no-trunc")).split("\n")).toEqual([mine.imageID]);
        const tree = (await slipway.text("images", "--tree")).split("\n").map((line) => line.split(/ {2,}/));
        const short = (id: string): string => id.slice(7, 19);
        expect(tree.map(([image, id]) => [image, id])).toEqual([
          ["IMAGE", "ID"],
          [app, short(mine.imageID)],
          [`├─ linux/${own}`, short(mine.imageID)],
          [`├─ linux/${other}`, short(foreign.imageID)],
          ["├─ windows/amd64", "-"],
          ["└─ linux/riscv64", short(riscv.imageID)],
        ]);
        const inspect = (platform: string, name = app, options = {}) =>
          slipway.run(["image", "inspect", "-f", "{{.Id}}", "--platform", platform, name], options);
        expect((await inspect("linux/riscv64")).stdout.trim()).toBe(riscv.imageID);
        expect(await slipway.text("run", "--rm", "--platform", `linux/${other}`, app, "cat", "/marker")).toBe(other);

        // Another name of it, then each way out; the registry that it came from is not asked.
        const copy = `${second.host}/team/copy:2`;
        await slipway.run(["tag", app, copy]);
        await registry.stop();
        await slipway.run(["push", "-q", copy]);
        expect(digestOf(raw(copy))).toBe(index.digest);
        const everything = [`docker://${copy}`, `docker://${second.host}/again`]; // every blob is read and verified
        expect((await slipway.run(["image", "copy", "-q", ...everything])).stdout.trim()).toBe(index.digest);
        expect(await slipway.text("images", "--digests", "--format", "{{.Digest}}", copy)).toBe(index.digest);
        await slipway.run(["image", "copy", copy, "oci:layout:x"]);
        await slipway.run(["image", "copy", copy, "oci-archive:layout.tar:y"]);
        for (const place of ["oci:layout:x", "oci-archive:layout.tar:y"])
          expect(digestOf(sh(directory, `skopeo inspect --raw ${place}`))).toBe(index.digest);
        await slipway.run(["image", "copy", "-q", app, `docker://${second.host}/copied`]);
        expect(digestOf(raw(`${second.host}/copied`))).toBe(index.digest);
        const one = await slipway.run(["image", "copy", "--platform", `linux/${other}`, copy, "oci:layout:one"]);
        expect(one.stdout.trim()).toBe(foreign.digest);

        await slipway.run(["save", "-o", "app.tar", copy]);
        const loaded = { env: { SLIPWAY_ROOT: join(directory, "loaded") } };
        await slipway.run(["load", "-i", "app.tar"], loaded);
        expect((await inspect(`linux/${other}`, copy, loaded)).stdout.trim()).toBe(foreign.imageID);
        await slipway.run(["tag", copy, `${second.host}/loaded`], loaded);
        await slipway.run(["push", "-q", `${second.host}/loaded`], loaded);
        expect(digestOf(raw(`${second.host}/loaded`))).toBe(index.digest);

        await slipway.run(["tag", app, "served"]);
        await withServedStore(slipway, [], async ({ host }) => {
          expect(digestOf(raw(`${host}/served`))).toBe(index.digest);
          const served = ["image", "copy", `docker://${host}/served`, "oci:served:x"];
          expect((await slipway.run(served)).stdout.trim()).toBe(index.digest);
        });

        // What one platform's image leaves behind is whole no more; the rest stays, and goes with the last name.
        await slipway.run(["rmi", copy, "served"]);
        expect(await slipway.text("rmi", "--platform", `linux/${other}`, app)).toContain(`Deleted: ${foreign.imageID}`);
        await inspect(`linux/${other}`, app, { exit: 1 });
        expect(await slipway.text("images", "--tree")).toMatch(new RegExp(`├─ linux/${other} +- +0B`));
        await slipway.run(["tag", app, `${second.host}/fresh`]);
        const partial = await slipway.run(["push", `${second.host}/fresh`]);
        expect(partial.stdout).toContain("is here: only the 2 images that are went up");
        // By its ID as well all of it goes, but for what a container uses; so does all that nobody uses.
        await slipway.run(["rmi", `${second.host}/fresh`]);
        const twice = await slipway.text("rmi", "-f", mine.imageID.slice(7, 19));
        expect(twice.split("\n").filter((line) => line === `Untagged: ${app}`)).toHaveLength(1);
        expect(twice).toContain(`Deleted: ${riscv.imageID}`);
        await slipway.run(["load", "-i", "app.tar"]);
        await slipway.run(["create", "--name", "user", copy]);
        expect(await slipway.text("image", "prune", "-af")).not.toContain("deleted");
        await slipway.run(["rm", "user"]);
        expect((await slipway.text("image", "prune", "-af")).match(/untagged/g)).toHaveLength(1);
        expect(await slipway.text("images", "-aq")).toBe("");
        expect(sh(slipway.root, "find blobs layers -type f").trim()).toBe("");
      }),
    ),
  { minutes: 2 },
);

e2e(
  "an image pulled by itself keeps its index in the repository that has the rest, and its manifest elsewhere",
  (slipway) =>
    withRegistry((registry) =>
      withRegistry(async (second) => {
        const { index, mine, foreign, attested } = await pushApp(registry);
        const app = `${registry.host}/app`;
        await slipway.run(["pull", "-q", `${app}:1`]);
        expect((await slipway.text("images", "--tree")).split("\n")).toHaveLength(5);
        // Its tags in its own repository are those of the index.
        await slipway.run(["tag", `${app}:1`, `${app}:prod`]);
        await slipway.run(["push", "-q", `${app}:prod`]);
        expect(digestOf(raw(`${app}:prod`))).toBe(index.digest);
        // Where the rest is not, the image goes, by its own manifest, and that is said.
        const elsewhere = `${second.host}/app:1`;
        await slipway.run(["tag", `${app}:1`, elsewhere]);
        const said = await slipway.run(["push", elsewhere]);
        expect(said.stdout).toContain(`Not all of the index ${index.digest} is here: only the image that is went up.`);
        expect(digestOf(raw(elsewhere))).toBe(mine.digest);
        // A name keeps the manifest that it came by when the same image comes by another one.
        const docker = `--format v2s2 --src-tls-verify=false --dest-tls-verify=false`;
        sh("/", `skopeo copy -q ${docker} docker://${app}@${mine.digest} docker://${second.host}/v2:1`);
        await slipway.run(["pull", "-q", `${second.host}/v2:1`]);
        await slipway.run(["push", "-q", elsewhere]);
        expect(digestOf(raw(elsewhere))).toBe(mine.digest);
        // A further platform stands beside it.
        await slipway.run(["pull", "-q", "--platform", `linux/${other}`, `${app}:1`]);
        const pinned = ["image", "inspect", "-f", "{{.Id}}", "--platform", `linux/${other}`, `${app}@${index.digest}`];
        expect(await slipway.text(...pinned)).toBe(foreign.imageID);
        await slipway.run(["pull", "-q", "--all-platforms", `${app}@${index.digest}`]);
        await slipway.run(["tag", `${app}@${index.digest}`, `${second.host}/pinned`]);
        await slipway.run(["push", "-q", `${second.host}/pinned`]);
        const layout = await slipway.text("image", "copy", "-q", `${app}@${index.digest}`, "oci:layout:x");
        expect(layout).toBe(index.digest);
        await slipway.run(["save", "-o", "pinned.tar", `${app}@${index.digest}`]);
        expect(digestOf(sh(slipway.directory, "skopeo inspect --raw oci-archive:pinned.tar"))).toBe(index.digest);
        // An image as buildx pushes it, with its attestation, which a pull leaves where it is: it goes from there.
        for (const [tag, digest] of [
          ["attested", attested.digest],
          ["alone", mine.digest],
        ] as const) {
          const options = { env: { SLIPWAY_ROOT: join(slipway.directory, tag) } };
          const target = `${second.host}/${tag}:1`;
          await slipway.run(["pull", "-q", `${app}:attested`], options);
          await slipway.run(["tag", `${app}:attested`, target], options);
          if (tag === "alone") sh("/", `skopeo delete --tls-verify=false docker://${app}:att`);
          await slipway.run(["push", "-q", target], options);
          expect([tag, digestOf(raw(target))]).toEqual([tag, digest]);
        }
        expect(digestOf(raw(`${second.host}/pinned`))).toBe(index.digest);
      }),
    ),
  { minutes: 2 },
);
