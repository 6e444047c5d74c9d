import type { ImageConfig } from "../oci/config.ts";
import type { Digest } from "../oci/digest.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import type { Records } from "./database.ts";
import { type Freed, isLayerUsed, markFreed } from "./disposal.ts";
import { forgetManifestsOf } from "./manifests.ts";
import type { Blobs, ImageRecord, Images, Layers, Lease, Tag, TagAnnotations } from "./Store.ts";

interface ImageRow {
  id: Digest;
  config: string;
  manifest: Digest | null;
  created: number;
  size: number;
}

interface TagRow {
  reference: string;
  id: Digest;
  repo_digest: Digest | null;
  tagged: number;
  annotations: string | null;
  source: Digest | null;
}

export interface ImagesOptions {
  records: Records;
  blobs: Blobs;
  layers: Layers;
  lease(purpose: string): Lease;
}

const byTag = "SELECT images.* FROM tags JOIN images ON images.id = tags.id WHERE reference = ?";

export function createImages({ records, blobs, layers, lease: takeLease }: ImagesOptions): Images {
  function get(id: Digest): ImageRecord | undefined {
    return toImage(records.first<ImageRow>("SELECT * FROM images WHERE id = ?", id));
  }

  function setImages(reference: string, images: readonly Digest[]): void {
    records.run("DELETE FROM tag_images WHERE reference = ?", reference);
    if (images.length < 2) return;
    for (const [n, each] of images.entries())
      records.run("INSERT INTO tag_images (reference, n, id) VALUES (?, ?, ?)", reference, n, each);
  }

  function untag(reference: string): boolean {
    records.run("DELETE FROM tag_images WHERE reference = ?", reference);
    return records.run("DELETE FROM tags WHERE reference = ?", reference) > 0;
  }

  return {
    get,
    find(prefix) {
      const hex = prefix.startsWith("sha256:") ? prefix.slice("sha256:".length) : prefix;
      if (!/^[0-9a-f]{1,64}$/.test(hex)) return undefined;
      // "g" sorts right after the hex digits.
      const rows = records.all<ImageRow>(
        "SELECT * FROM images WHERE id >= ? AND id < ? LIMIT 2",
        `sha256:${hex}`,
        `sha256:${hex}g`,
      );
      if (rows.length > 1)
        throw new SlipwayError("AMBIGUOUS_ID", `more than one image has an ID that begins with ${prefix}`);
      return toImage(rows[0]);
    },
    byTag: (reference) => toImage(records.first<ImageRow>(byTag, reference)),
    byRepoDigest: (repository, digest) =>
      toImage(
        records.first<ImageRow>(
          "SELECT images.* FROM repo_digests JOIN images ON images.id = repo_digests.id WHERE repository = ? AND digest = ?",
          repository,
          digest,
        ),
      ),
    put: (id, manifest) =>
      records.transaction(() => {
        const known = get(id);
        if (known !== undefined && (manifest === undefined || known.manifest === manifest)) return known;
        const text = new TextDecoder().decode(blobs.read(id));
        const config = JSON.parse(text) as ImageConfig;
        if (manifest !== undefined && !blobs.has(manifest)) {
          throw new SlipwayError("BLOB_NOT_FOUND", `blob ${manifest} is not in the store`);
        }
        const size = config.rootfs.diff_ids.reduce((sum, diffID) => sum + layers.require(diffID).size, 0);
        const created = Date.parse(config.created ?? "");
        records.run(
          "INSERT OR REPLACE INTO images (id, config, manifest, created, size) VALUES (?, ?, ?, ?, ?)",
          id,
          text,
          manifest ?? null,
          Number.isNaN(created) ? 0 : created,
          size,
        );
        for (const diffID of config.rootfs.diff_ids) {
          records.run("INSERT OR IGNORE INTO image_layers (diff_id, image) VALUES (?, ?)", diffID, id);
        }
        return get(id) as ImageRecord;
      }),
    tag(reference, id, repoDigest, { images = [], annotations, source } = {}) {
      records.transaction(() => {
        for (const each of [id, ...images])
          if (get(each) === undefined) throw new SlipwayError("IMAGE_NOT_FOUND", `image ${each} is not in the store`);
        if (source !== undefined && !blobs.has(source))
          throw new SlipwayError("BLOB_NOT_FOUND", `blob ${source} is not in the store`);
        untag(reference);
        records.run(
          "INSERT INTO tags (reference, id, repo_digest, tagged, annotations, source) VALUES (?, ?, ?, ?, ?, ?)",
          reference,
          id,
          repoDigest ?? null,
          Date.now(),
          annotations === undefined ? null : JSON.stringify(annotations),
          source ?? null,
        );
        setImages(reference, images);
      });
    },
    setRepoDigest(reference, digest) {
      records.run("UPDATE tags SET repo_digest = ? WHERE reference = ?", digest, reference);
    },
    ofTag(reference) {
      const sql = `SELECT images.* FROM tag_images JOIN images ON images.id = tag_images.id WHERE reference = ?1 ORDER BY n`;
      const several = records.all<ImageRow>(sql, reference);
      const found = several.length > 0 ? several : records.all<ImageRow>(`${byTag} LIMIT 1`, reference);
      return found.map((row) => toImage(row) as ImageRecord);
    },
    untag: (reference) => records.transaction(() => untag(reference)),
    tags(id) {
      const rows =
        id === undefined
          ? records.all<TagRow>("SELECT * FROM tags ORDER BY reference")
          : records.all<TagRow>(
              `SELECT * FROM tags WHERE id = ?1
                 OR reference IN (SELECT reference FROM tag_images WHERE tag_images.id = ?1) ORDER BY reference`,
              id,
            );
      return rows.map(toTag);
    },
    addRepoDigest(repository, digest, id, images = []) {
      records.transaction(() => {
        records.run(
          "INSERT OR REPLACE INTO repo_digests (repository, digest, id) VALUES (?, ?, ?)",
          repository,
          digest,
          id,
        );
        if (images.length > 0) setImages(`${repository}@${digest}`, images);
      });
    },
    removeRepoDigest(repository, digest) {
      records.run("DELETE FROM repo_digests WHERE repository = ? AND digest = ?", repository, digest);
      records.run("DELETE FROM tag_images WHERE reference = ?", `${repository}@${digest}`);
    },
    repoDigests: (id) =>
      records.all<{ repository: string; digest: Digest }>(
        "SELECT repository, digest FROM repo_digests WHERE id = ? ORDER BY repository, digest",
        id,
      ),
    remove: (id) =>
      records.transaction(() => {
        const image = get(id);
        if (image === undefined) return [];
        const lease = takeLease("remove image");
        const blobs = [id, ...(image.manifest === undefined ? [] : [image.manifest])];
        const named = `SELECT digest FROM repo_digests WHERE id = ?1
          UNION SELECT source FROM tags WHERE id = ?1 AND source IS NOT NULL`;
        for (const { digest } of records.all<{ digest: Digest }>(named, id)) blobs.push(digest);
        const layers = [...new Set(image.config.rootfs.diff_ids)];
        markFreed(records, lease.id, [
          ...blobs.map((digest): Freed => ({ kind: "blob", digest })),
          ...layers.map((digest): Freed => ({ kind: "layer", digest })),
          ...forgetManifestsOf(records, id),
        ]);
        records.run("DELETE FROM images WHERE id = ?", id);
        records.run("DELETE FROM image_layers WHERE image = ?", id);
        for (const { reference } of records.all<TagRow>("SELECT * FROM tags WHERE id = ?", id)) untag(reference);
        records.run("DELETE FROM tag_images WHERE id = ?", id);
        records.run("DELETE FROM repo_digests WHERE id = ?", id);
        const gone = layers.filter((diffID) => !isLayerUsed(records, diffID));
        lease.release();
        return gone;
      }),
    list: () =>
      records.all<ImageRow>("SELECT * FROM images ORDER BY created DESC, id").map((row) => toImage(row) as ImageRecord),
  };
}

function toImage(row: ImageRow | undefined): ImageRecord | undefined {
  if (row === undefined) return undefined;
  const { id, created, size } = row;
  const config = JSON.parse(row.config) as ImageConfig;
  return { id, config, ...(row.manifest === null ? {} : { manifest: row.manifest }), created, size };
}

function toTag(row: TagRow): Tag {
  const { reference, id, tagged, annotations, source } = row;
  return {
    reference,
    id,
    ...(row.repo_digest === null ? {} : { repoDigest: row.repo_digest }),
    ...(source === null ? {} : { source }),
    tagged,
    ...(annotations === null ? {} : { annotations: JSON.parse(annotations) as TagAnnotations }),
  };
}
