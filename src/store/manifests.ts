import type { Digest } from "../oci/digest.ts";
import type { Records } from "./database.ts";
import { type Freed, markFreed } from "./disposal.ts";
import type { KeptManifest, Lease, Manifests } from "./Store.ts";

interface Row {
  repository: string;
  digest: Digest;
  media_type: string;
  size: number;
  artifact_type: string | null;
  subject: Digest | null;
  annotations: string | null;
  image: Digest | null;
  created: number;
}

export interface ManifestsOptions {
  records: Records;
  lease(purpose: string): Lease;
}

export function createManifests({ records, lease: takeLease }: ManifestsOptions): Manifests {
  return {
    put({ repository, digest, mediaType, size, artifactType, subject, annotations }, blobs) {
      records.transaction(() => {
        records.run(
          `INSERT OR IGNORE INTO manifests (repository, digest, media_type, size, artifact_type, subject, annotations, image, created)
           VALUES (?, ?, ?, ?, ?, ?, ?, NULL, ?)`,
          repository,
          digest,
          mediaType,
          size,
          artifactType ?? null,
          subject ?? null,
          annotations === undefined ? null : JSON.stringify(annotations),
          Date.now(),
        );
        for (const blob of blobs)
          records.run("INSERT OR IGNORE INTO manifest_blobs (blob, manifest) VALUES (?, ?)", blob, digest);
      });
    },
    get(repository, digest) {
      const row = records.first<Row>("SELECT * FROM manifests WHERE repository = ? AND digest = ?", repository, digest);
      return row === undefined ? undefined : toRecord(row);
    },
    list: () => records.all<Row>("SELECT * FROM manifests ORDER BY repository, digest").map(toRecord),
    referrers: (repository, subject) =>
      records
        .all<Row>("SELECT * FROM manifests WHERE repository = ? AND subject = ? ORDER BY digest", repository, subject)
        .map(toRecord),
    belong(repository, digest, image) {
      records.run("UPDATE manifests SET image = ? WHERE repository = ? AND digest = ?", image, repository, digest);
    },
    tag(repository, tag, digest) {
      records.run(
        "INSERT OR REPLACE INTO manifest_tags (repository, tag, digest) VALUES (?, ?, ?)",
        repository,
        tag,
        digest,
      );
    },
    untag: (repository, tag) =>
      records.run("DELETE FROM manifest_tags WHERE repository = ? AND tag = ?", repository, tag) > 0,
    tags: () => records.all("SELECT repository, tag, digest FROM manifest_tags ORDER BY repository, tag"),
    remove(repository, digest) {
      return records.transaction(() => {
        const lease = takeLease("remove manifest");
        const freed = forgetManifest(records, repository, digest);
        markFreed(records, lease.id, freed ?? []);
        lease.release();
        return freed !== undefined;
      });
    },
  };
}

/** Forgets the manifests that came with an image, and gives the blobs that only they may have named. */
export function forgetManifestsOf(records: Records, image: Digest): Freed[] {
  return records
    .all<Row>("SELECT * FROM manifests WHERE image = ?", image)
    .flatMap(({ repository, digest }) => forgetManifest(records, repository, digest) ?? []);
}

function forgetManifest(records: Records, repository: string, digest: Digest): Freed[] | undefined {
  if (records.run("DELETE FROM manifests WHERE repository = ? AND digest = ?", repository, digest) === 0)
    return undefined;
  records.run("DELETE FROM manifest_tags WHERE repository = ? AND digest = ?", repository, digest);
  // Another repository may have the same manifest.
  if (records.first("SELECT 1 FROM manifests WHERE digest = ?", digest) !== undefined) return [];
  const blobs = records.all<{ blob: Digest }>("SELECT blob FROM manifest_blobs WHERE manifest = ?", digest);
  records.run("DELETE FROM manifest_blobs WHERE manifest = ?", digest);
  return [digest, ...blobs.map(({ blob }) => blob)].map((each): Freed => ({ kind: "blob", digest: each }));
}

function toRecord(row: Row): KeptManifest {
  const { repository, digest, media_type, size, artifact_type, subject, annotations, image, created } = row;
  return {
    repository,
    digest,
    mediaType: media_type,
    size,
    ...(artifact_type === null ? {} : { artifactType: artifact_type }),
    ...(subject === null ? {} : { subject }),
    ...(annotations === null ? {} : { annotations: JSON.parse(annotations) as Record<string, string> }),
    ...(image === null ? {} : { image }),
    created,
  };
}
