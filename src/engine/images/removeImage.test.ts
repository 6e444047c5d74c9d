import { expect, test } from "bun:test";
import { withEngine } from "../../../test/support/withEngine.ts";
import { type Digest, sha256 } from "../../oci/digest.ts";
import { putImage } from "../../store/putImage.ts";
import type { Engine } from "../Engine.ts";
import { history } from "./history.ts";
import { images } from "./images.ts";
import { inspectImage } from "./inspectImage.ts";
import { removeImage } from "./removeImage.ts";
import { findImage, resolveImage } from "./resolveImage.ts";
import { tagImage } from "./tagImage.ts";

function image({ store }: Engine): { imageID: Digest; diffID: Digest } {
  const lease = store.lease("test");
  const diffID = sha256("layer");
  store.layers.adopt(lease.directory(), { diffID, tarSize: 1, size: 42, impliedDirs: [] }, lease);
  const history = [{ created_by: "COPY" }, { created_by: "CMD", empty_layer: true }];
  const rootfs = { type: "layers" as const, diff_ids: [diffID] };
  const { imageID } = putImage(store, { lease, config: { architecture: "amd64", os: "linux", rootfs, history } });
  lease.release();
  return { imageID, diffID };
}

test("an image is found by its ID, the beginning of it, a name, and the digest that a registry gave it", () =>
  withEngine(async ({ engine }) => {
    const { imageID } = image(engine);
    tagImage(engine, imageID.slice(7, 19), "web");
    engine.store.images.addRepoDigest("docker.io/library/web", sha256("index"), imageID);
    for (const name of [
      imageID,
      imageID.slice(7),
      imageID.slice(0, 15),
      "web",
      "docker.io/library/web:latest",
      `web@${sha256("index")}`,
    ]) {
      expect(findImage(engine, name)?.id).toBe(imageID);
    }
    expect(() => resolveImage(engine, "other")).toThrow("No such image: other");
  }));

test("history and inspect say what the config says, with the sizes of the layers", () =>
  withEngine(async ({ engine }) => {
    const { imageID, diffID } = image(engine);
    tagImage(engine, imageID, "web");
    expect(history(engine, "web").map(({ created_by, size, id }) => [created_by, size, id])).toEqual([
      ["CMD", 0, imageID],
      ["COPY", 42, undefined],
    ]);
    expect(inspectImage(engine, "web")).toMatchObject({
      Id: imageID,
      RepoTags: ["web:latest"],
      Size: 42,
      RootFS: { Layers: [diffID] },
    });
    expect(images(engine, { reference: "web" })).toMatchObject([{ id: imageID, tags: ["web:latest"], containers: 0 }]);
    expect(images(engine, { filters: { dangling: ["true"] } })).toEqual([]);
  }));

test("one of several names is taken away; an image in use stays, and goes with its last name", () =>
  withEngine(async ({ engine }) => {
    const { imageID, diffID } = image(engine);
    tagImage(engine, imageID, "web");
    tagImage(engine, imageID, "other:1");
    expect(() => removeImage(engine, imageID)).toThrow("multiple repositories");
    expect(removeImage(engine, "web")).toEqual({ untagged: ["web:latest"], deleted: [] });
    const id = "a".repeat(64);
    engine.store.containers.create({
      ...{ id, name: "c1", image: imageID, imageReference: "x", layers: [diffID], created: 1 },
      ...{ status: "exited", autoRemove: false, options: {} },
    });
    expect(() => removeImage(engine, "other:1")).toThrow(
      "(must be forced) - image is being used by stopped container aaaaaaaaaaaa",
    );
    engine.store.containers.update(id, { status: "running" });
    expect(() => removeImage(engine, "other:1", { force: true })).toThrow("(cannot be forced)");
    engine.store.containers.remove(id);
    expect(removeImage(engine, "other:1")).toEqual({ untagged: ["other:1"], deleted: [imageID, diffID] });
  }));
