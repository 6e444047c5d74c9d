import { expect } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { e2e } from "../support/e2e.ts";
import { withServedStore } from "../support/servedStore.ts";
import { sh } from "../support/shell.ts";

e2e(
  "skopeo and another slipway read what was built here and write it back, digests kept, and Ctrl-C ends it cleanly",
  (slipway) =>
    withServedStore(slipway, ["--writable"], async ({ host, url, child }) => {
      writeFileSync(join(slipway.directory, "f"), "x".repeat(100_000));
      await slipway.run(["build", "-t", "hello", "-f", "-", "."], {
        input: "FROM alpine\nCOPY f /f\nRUN echo made > /made\nCMD cat /made",
      });
      const out = `${slipway.directory}/out`;
      sh("/", `skopeo copy -q --preserve-digests --src-tls-verify=false docker://${host}/hello dir:${out}`);
      sh("/", `skopeo copy -q --preserve-digests --dest-tls-verify=false dir:${out} docker://${host}/team/back:1`);
      const id = await slipway.text("images", "-q", "--no-trunc", "hello");
      expect(await slipway.text("images", "-q", "--no-trunc", "team/back:1")).toBe(id);

      // All platforms of a name, as one index; and what skopeo wrote, tag by tag and away again.
      const several = [
        "build",
        "-q",
        "--platform",
        "linux/amd64,linux/arm64,linux/riscv64",
        "-t",
        "several",
        "-f",
        "-",
        ".",
      ];
      await slipway.run(several, { input: "FROM scratch\nCOPY f /f\nARG TARGETARCH\nLABEL arch=$TARGETARCH" });
      const tls = "--src-tls-verify=false --dest-tls-verify=false";
      const raw = (name: string) => sh("/", `skopeo inspect --raw --tls-verify=false docker://${host}/${name}`);
      sh("/", `skopeo copy -q --all --preserve-digests ${tls} docker://${host}/several oci:${out}-oci:1`);
      sh("/", `skopeo copy -q --all --preserve-digests ${tls} oci:${out}-oci:1 docker://${host}/team/back:2`);
      expect(raw("team/back:2")).toBe(raw("several"));
      expect(await slipway.text("images", "--tree", "team/back:2")).toContain("└─ linux/riscv64");
      sh("/", `skopeo sync --all --src docker --dest docker ${tls} ${host}/several ${host}/synced`);
      expect(raw("synced/several")).toBe(raw("several"));
      const listed = () => JSON.parse(sh("/", `skopeo list-tags --tls-verify=false docker://${host}/team/back`)).Tags;
      expect(listed()).toEqual(["1", "2"]);
      sh("/", `skopeo delete --tls-verify=false docker://${host}/team/back:2`);
      expect(listed()).toEqual(["1"]);

      // Another store: it pulls, has the same image, and pushes it under another name.
      const env = { SLIPWAY_ROOT: join(slipway.directory, "other") };
      const name = `${host}/library/hello`;
      await slipway.run(["pull", name], { env });
      expect((await slipway.run(["run", "--rm", name], { env })).stdout).toBe("made\n");
      await slipway.run(["tag", name, `${host}/other/copy:2`], { env });
      const pushed = await slipway.run(["push", `${host}/other/copy:2`], { env });
      expect(pushed.stdout).toContain("Layer already exists");
      expect(await slipway.text("images", "-q", "--no-trunc", "other/copy:2")).toBe(id);

      // What is new to it comes, unpacks and runs; all of an index stays together.
      const fresh = `${host}/fresh:1`;
      await slipway.run(["build", "-t", fresh, "-f", "-", "."], { input: "FROM scratch\nCOPY f /new\nCMD x", env });
      await slipway.run(["push", fresh], { env });
      await slipway.run(["build", "-q", "-t", "uses", "-f", "-", "."], { input: "FROM fresh:1\nCOPY f /second" });
      const tags = (await (await fetch(`${url}/v2/fresh/tags/list`)).json()) as object;
      expect(tags).toEqual({ name: "fresh", tags: ["1"] });

      child.kill("SIGINT");
      expect(await child.exited).toBe(0);
      expect(readdirSync(join(slipway.root, "tmp"))).toEqual([]);
    }),
);

e2e("an upload that kill -9 cut off is swept by the next command", (slipway) =>
  withServedStore(slipway, ["--writable"], async ({ url, child }) => {
    const begun = await fetch(`${url}/v2/x/blobs/uploads/`, { method: "POST" });
    await fetch(new URL(begun.headers.get("location") as string, url), { method: "PATCH", body: "half" });
    expect(readdirSync(join(slipway.root, "tmp"))).not.toEqual([]);
    child.kill("SIGKILL");
    await child.exited;
    await slipway.run(["images"]);
    expect(readdirSync(join(slipway.root, "tmp"))).toEqual([]);
  }),
);
