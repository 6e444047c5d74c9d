import { expect } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { busyboxImage } from "../../scripts/lib/busyboxImage.mjs";
import { pushImage, pushIndex } from "../../scripts/lib/pushImage.mjs";
import { withRegistry } from "../support/dockerRegistry.ts";
import { e2e } from "../support/e2e.ts";
import { sh } from "../support/shell.ts";

const own = process.arch === "arm64" ? "arm64" : "amd64";

e2e(
  "an image is copied between registries, layouts, archives and the store, with the digests that skopeo finds",
  (slipway) =>
    withRegistry((first) =>
      withRegistry(async (second) => {
        const { directory } = slipway;
        const copy = (...args: string[]) =>
          slipway.run(["image", "copy", ...args], { cwd: directory }).then(({ stdout }) => stdout.trim());
        const raw = (place: string): string => {
          const tls = place.startsWith("docker:") ? "--tls-verify=false" : "";
          return `sha256:${Bun.SHA256.hash(sh(directory, `skopeo inspect --raw ${tls} ${place}`), "hex")}`;
        };
        const parts = [];
        for (const architecture of [own, "riscv64"])
          parts.push(
            await pushImage(first.url, "app", architecture, {
              ...busyboxImage(),
              platform: { os: "linux", architecture },
            }),
          );
        const [mine, foreign] = parts as [(typeof parts)[0], (typeof parts)[0]];
        const index = await pushIndex(first.url, "app", "1", parts);

        // An index goes whole, and nothing of it to the store.
        expect(await copy(`docker://${first.host}/app:1`, `docker://${second.host}/other/app:2`)).toBe(index.digest);
        expect(await copy(`docker://${second.host}/other/app:2`, "oci:dir:a")).toBe(index.digest);
        expect(await copy("oci:dir:a", "oci-archive:all.tar:b")).toBe(index.digest);
        expect(await copy("oci-archive:all.tar", `docker://${first.host}/back`)).toBe(index.digest);
        for (const place of [
          `docker://${second.host}/other/app:2`,
          "oci:dir:a",
          "oci-archive:all.tar:b",
          `docker://${first.host}/back`,
        ])
          expect([place, raw(place)]).toEqual([place, index.digest]);
        const all = `docker://${first.host}/back dir:all`;
        sh(directory, `skopeo copy -q --all --preserve-digests --src-tls-verify=false ${all}`);
        expect(await slipway.text("images", "-q")).toBe("");

        const docker = await pushImage(first.url, "docker", "1", { ...busyboxImage(), docker: true });
        expect(await copy(`docker://${first.host}/docker:1`, "oci:docker:1")).toBe(docker.digest);
        expect(await copy("oci:docker:1", `docker://${second.host}/docker:1`)).toBe(docker.digest);
        expect(raw(`docker://${second.host}/docker:1`)).toBe(docker.digest);

        // One platform of it, beside what the layout holds; then through Docker's archive into the store and out again.
        const onePlatform = await copy("--platform", "linux/riscv64", `docker://${first.host}/app:1`, "oci:dir:one");
        expect([onePlatform, raw("oci:dir:one"), raw("oci:dir:a")]).toEqual([
          foreign.digest,
          foreign.digest,
          index.digest,
        ]);
        expect(await copy(`oci:dir@${foreign.digest}`, "oci:two")).toBe(foreign.digest);
        expect(await copy("oci:dir:a", "docker-archive:docker.tar:some/app:3")).toBe(mine.digest);
        expect(JSON.parse(sh(directory, "skopeo inspect --config docker-archive:docker.tar")).architecture).toBe(own);
        expect(await copy("docker-archive:docker.tar:some/app:3", "app:4")).toBe(mine.imageID);
        expect(await slipway.text("images", "--format", "{{.Repository}}:{{.Tag}}")).toBe("app:4");
        await slipway.run(["run", "--rm", "app:4", "true"]);
        for (const place of [`docker://${second.host}/stored:1`, "oci:dir:stored", "oci-archive:stored.tar:x"]) {
          expect(await copy("app:4", place)).toBe(mine.digest);
          expect([place, raw(place)]).toEqual([place, mine.digest]);
        }
        // What skopeo writes, without a manifest of its own, goes on as well; so does what was built here.
        sh(directory, `skopeo copy -q oci:dir:stored docker-archive:skopeo.tar:some/app:5`);
        const fromSkopeo = await copy("docker-archive:skopeo.tar", `docker://${second.host}/skopeo:1`);
        expect(raw(`docker://${second.host}/skopeo:1`)).toBe(fromSkopeo);
        await slipway.run(["build", "-q", "-t", "built", "-f", "-", "."], { input: "FROM app:4\nRUN echo 1 > /f" });
        expect(await copy("built", "oci:dir:built")).toBe(raw("oci:dir:built"));
        expect(await copy("built", `docker://${second.host}/built`)).toBe(raw("oci:dir:built"));
        expect(await copy("built", "built:again")).toBe(
          await slipway.text("images", "-q", "--no-trunc", "built:again"),
        );

        const fails = async (...args: string[]) =>
          (await slipway.run(["image", "copy", ...args], { cwd: directory, exit: "any" })).stderr;
        expect(await fails("oci:dir", "oci:three")).toContain("dir holds 4 images");
        expect(await fails("docker-archive:docker.tar:none", "x")).toContain("docker.tar holds no image");
        expect(await fails("--platform", "linux/s390x", "oci:dir:a", "oci:three")).toContain("s390x");
        expect(await fails("ftp://x/y", "oci:three")).toContain("names no place of an image");
        expect(await fails("oci:dir:a", `oci:three@${mine.digest}`)).toContain("a copy gets a tag");
        // Every blob of the layout but its documents is damaged now (the store has the layer, and does not read it): no tag comes to be anywhere.
        const blobs = join(directory, "two/blobs/sha256");
        for (const name of readdirSync(blobs)) {
          const bytes = readFileSync(join(blobs, name));
          if (bytes[0] === 0x7b) continue;
          bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
          writeFileSync(join(blobs, name), bytes);
        }
        for (const place of [`docker://${second.host}/damaged:1`, "oci:damaged", "docker-archive:damaged.tar"])
          expect([place, await fails("oci:two", place)]).toEqual([
            place,
            expect.stringContaining("content that should be"),
          ]);
        expect(sh(directory, "ls")).not.toContain("damaged.tar");
        expect(sh(directory, "ls damaged damaged/blobs/sha256")).not.toContain("index.json");
        expect(() => raw(`docker://${second.host}/damaged:1`)).toThrow();
      }),
    ),
);
