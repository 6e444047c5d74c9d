import { expect, test } from "bun:test";
import { busyboxImage } from "../../scripts/lib/busyboxImage.mjs";
import { pushImage } from "../../scripts/lib/pushImage.mjs";
import { withRegistry } from "./dockerRegistry.ts";
import { startTokenRegistry } from "./tokenRegistry.ts";

test("a request without a token is told where to get one, and with one for another repository it is refused", () =>
  withRegistry(async (registry) => {
    await pushImage(registry.url, "library/alpine", "latest", busyboxImage());
    const front = startTokenRegistry(registry.url);
    try {
      const url = `${front.url}/v2/library/alpine/manifests/latest`;
      const accept = "application/vnd.oci.image.manifest.v1+json";
      const refused = await fetch(url);
      expect(refused.status).toBe(401);
      expect(refused.headers.get("www-authenticate")).toBe(
        `Bearer realm="${front.url}/token",service="registry.docker.io",scope="repository:library/alpine:pull"`,
      );
      const get = async (repository: string) => {
        const asked = await fetch(`${front.url}/token?service=registry.docker.io&scope=repository:${repository}:pull`);
        const { token } = (await asked.json()) as { token: string };
        return fetch(url, { headers: { accept, authorization: `Bearer ${token}` } });
      };
      expect((await get("library/other")).status).toBe(401);
      const granted = await get("library/alpine");
      expect(granted.status).toBe(200);
      expect(((await granted.json()) as { layers: unknown[] }).layers).toHaveLength(1);
    } finally {
      front.stop();
    }
  }));
