import { expect } from "bun:test";
import { join } from "node:path";
import { contextFiles } from "../support/contextFiles.ts";
import { withRegistry } from "../support/dockerRegistry.ts";
import { e2e } from "../support/e2e.ts";

const DOCKERFILE = [
  "FROM alpine AS tool",
  "COPY tool.txt /",
  "RUN cat tool.txt > /tool",
  "FROM alpine",
  "RUN echo first > /first",
  "COPY app.txt /app",
  "COPY --from=tool /tool /tool",
].join("\n");

e2e(
  "a cache goes to a registry by itself or in an image, and another machine builds from it what is the same",
  (slipway) =>
    withRegistry(async ({ host, url }) => {
      contextFiles(slipway, { Dockerfile: DOCKERFILE, "tool.txt": "tool", "app.txt": "app" });
      let machines = 0;
      /** A build on a machine of its own: the image, and the steps that ran. */
      const build = async (...args: string[]): Promise<{ id: string; ran: string[]; stderr: string }> => {
        const env = { SLIPWAY_ROOT: join(slipway.root, `../machine${machines++}`) };
        const { stdout, stderr } = await slipway.run(["build", "--progress", "plain", ...args, "."], { env });
        const names = new Map([...stderr.matchAll(/^#(\d+) \[(?!internal)[^\]]*\] (.*)$/gm)].map((m) => [m[1], m[2]]));
        // A step that was CACHED at first and is run in the end has two numbers.
        for (const [, n] of stderr.matchAll(/^#(\d+) CACHED$/gm)) names.delete(n as string);
        if (args.includes("type=inline")) await slipway.run(["push", `${host}/app`], { env });
        return { id: stdout.trim(), ran: [...names.values()] as string[], stderr };
      };
      const mine = `${host}/cache:main`;
      const first = await build("--cache-to", `type=registry,ref=${mine},mode=max`);
      expect(first.ran).toHaveLength(5);
      const manifest = (await (
        await fetch(`${url}/v2/cache/manifests/main`, {
          headers: { Accept: "application/vnd.oci.image.manifest.v1+json" },
        })
      ).json()) as { artifactType: string; layers: unknown[] };
      expect(manifest.artifactType).toBe("application/vnd.slipway.cache.v1");
      expect(manifest.layers).toHaveLength(4); // two of the steps write the same

      const again = await build("--cache-from", mine, "--cache-to", `type=registry,ref=${host}/cache:other,mode=max`);
      expect([again.id, again.ran]).toEqual([first.id, []]);
      expect(again.stderr).toContain(`importing cache manifest from ${mine}`);
      expect(again.stderr.match(/loading cached layer/g)).toHaveLength(3);
      // What it never fetched was given on by its digest.
      const other = await build("--cache-from", `type=registry,ref=${host}/cache:other`, "--target", "tool");
      expect(other.ran).toEqual([]);

      const inline = await build("-t", `${host}/app`, "--cache-from", mine, "--cache-to", "type=inline");
      expect(inline.ran).toEqual([]);
      contextFiles(slipway, { "app.txt": "another app" });
      const changed = await build("--cache-from", `${host}/app`);
      expect(changed.ran.sort()).toEqual(["COPY --from=tool /tool /tool", "COPY app.txt /app", "COPY tool.txt /"]); // RUN's layer is the image's own, too

      const none = await build("--cache-from", `${host}/nothing`);
      expect(none.ran).toHaveLength(5);
      expect(none.stderr).toContain(`the cache ${host}/nothing:latest is not used`);
    }),
);
