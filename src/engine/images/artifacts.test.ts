import { expect, test } from "bun:test";
import { withRegistry } from "../../../test/support/dockerRegistry.ts";
import { withServer } from "../../../test/support/scriptedServer.ts";
import { withEngine } from "../../../test/support/withEngine.ts";
import { mediaTypes } from "../../oci/descriptor.ts";
import { sha256 } from "../../oci/digest.ts";
import { openRegistry } from "./openRegistry.ts";
import { pushArtifact, referrers } from "./artifacts.ts";

const file = (text: string) => ({ mediaType: "text/plain", content: new Blob([text]), annotations: { title: text } });

test("what is about an artifact is listed, by kind, also where the registry keeps no list itself", () =>
  withRegistry(({ host }) =>
    withEngine(async ({ engine }) => {
      const name = `${host}/team/thing`;
      const thing = await pushArtifact(engine, `${name}:1`, {
        artifactType: "application/x.thing",
        files: [file("a")],
      });
      expect(await referrers(engine, `${name}:1`)).toEqual([]);
      const about = (artifactType: string, text: string) =>
        pushArtifact(engine, name, {
          artifactType,
          subject: "1",
          files: text === "" ? [] : [file(text)],
          annotations: { text },
        });
      const signature = await about("application/x.signature", "s");
      const sbom = await about("application/x.sbom", "");
      await about("application/x.sbom", "");
      const named = (subject: string) =>
        pushArtifact(engine, name, {
          artifactType: "application/x.sbom",
          subject,
          files: [],
          annotations: { text: "" },
        });
      expect((await named(`${name}:1`)).digest).toBe(sbom.digest);
      await expect(named(`${host}/team/other:1`)).rejects.toThrow(`is not in ${name}`);
      expect(await referrers(engine, `${name}@${thing.digest}`)).toEqual([
        { ...signature, artifactType: "application/x.signature", annotations: { text: "s" } },
        { ...sbom, artifactType: "application/x.sbom", annotations: { text: "" } },
      ]);
      expect(await referrers(engine, `${name}:1`, { artifactType: "application/x.sbom" })).toHaveLength(1);
      // They have no tag of their own but the list's.
      expect((await openRegistry(engine, host).tags("team/thing")).sort()).toEqual(
        ["1", thing.digest.replace(":", "-")].sort(),
      );
    }),
  ));

test("a registry that lists referrers is asked, page by page", () => {
  const subject = sha256("subject");
  const descriptor = (text: string) => ({
    mediaType: mediaTypes.ociManifest,
    digest: sha256(text),
    size: 1,
    artifactType: text,
  });
  const page = (texts: string[]) =>
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: texts.map(descriptor) });
  return withServer(
    {
      [`/v2/a/referrers/${subject}`]: (request) =>
        new URL(request.url).searchParams.has("next")
          ? new Response(page(["x/sbom"]))
          : new Response(page(["x/sig", "x/sbom2"]), {
              headers: { link: `</v2/a/referrers/${subject}?next=1>; rel="next"` },
            }),
      "/v2/a/manifests/1": () => new Response("{}", { headers: { "content-type": "m" } }),
    },
    (server) =>
      withEngine(async ({ engine }) => {
        const found = await referrers(engine, `${server.host}/a@${subject}`);
        expect(found.map(({ artifactType }) => artifactType)).toEqual(["x/sig", "x/sbom2", "x/sbom"]);
        expect(await referrers(engine, `${server.host}/a@${subject}`, { artifactType: "x/sbom" })).toHaveLength(1);
      }),
  );
});
