import { Database } from "bun:sqlite";
import { join } from "node:path";
import type { Linux } from "../linux/Linux.ts";
import { LOCK_EX, AT_FDCWD, O_CREAT, O_RDWR } from "../linux/constants.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";

type Value = string | number | bigint | null;

/** The records. Statements are prepared at their first use and kept. */
export interface Records {
  all<Row>(sql: string, ...values: Value[]): Row[];
  first<Row>(sql: string, ...values: Value[]): Row | undefined;
  /** Returns the number of rows that changed. */
  run(sql: string, ...values: Value[]): number;
  /** All or nothing; a nested call joins the outer one. Takes the write lock at its start. */
  transaction<T>(work: () => T): T;
  /** Runs `work` once what is recorded so far lasts: at once outside of a transaction, dropped with one that is rolled back. */
  afterCommit(work: () => void): void;
  /**
   * Brings what the log holds into the database where the log has grown: some milliseconds, for a moment in which the caller waits for
   * something else anyway. The first process that opens a database reads the whole log, so that a long one costs every command.
   */
  checkpoint(): void;
  close(): void;
}

/** Each takes a store one version further, from the schema below (version 1) on. What was released is never changed. */
const migrations: readonly string[] = [
  // What the garbage collector knows: bytes on the disk (NULL: not measured yet), blobs that the cache names, cache mounts.
  `ALTER TABLE layers ADD COLUMN disk INTEGER;
   CREATE TABLE cache_blobs (digest TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (digest, key)) WITHOUT ROWID;
   CREATE INDEX cache_blobs_key ON cache_blobs (key);
   CREATE TABLE cache_mounts (
     name TEXT PRIMARY KEY, id TEXT NOT NULL, sharing TEXT NOT NULL, created INTEGER NOT NULL, used INTEGER NOT NULL,
     disk INTEGER) WITHOUT ROWID;
   INSERT INTO cache_mounts SELECT substr(key, 12), value, 'shared', unixepoch() * 1000, unixepoch() * 1000, NULL
     FROM settings WHERE key LIKE 'cachemount:%';
   DELETE FROM settings WHERE key LIKE 'cachemount:%' OR key LIKE 'http:%'`,
  // What came by `registry serve --writable`: indexes, manifests of other platforms, artifacts. `image`: goes with that one.
  `CREATE TABLE manifests (
     repository TEXT NOT NULL, digest TEXT NOT NULL, media_type TEXT NOT NULL, size INTEGER NOT NULL, artifact_type TEXT, subject TEXT,
     annotations TEXT, image TEXT, created INTEGER NOT NULL, PRIMARY KEY (repository, digest)) WITHOUT ROWID;
   CREATE INDEX manifests_digest ON manifests (digest);
   CREATE INDEX manifests_subject ON manifests (subject) WHERE subject IS NOT NULL;
   CREATE INDEX manifests_image ON manifests (image) WHERE image IS NOT NULL;
   CREATE TABLE manifest_blobs (blob TEXT NOT NULL, manifest TEXT NOT NULL, PRIMARY KEY (blob, manifest)) WITHOUT ROWID;
   CREATE INDEX manifest_blobs_manifest ON manifest_blobs (manifest);
   CREATE TABLE manifest_tags (
     repository TEXT NOT NULL, tag TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (repository, tag)) WITHOUT ROWID`,
  // Names of images of several platforms, and the annotations that a push of a name writes.
  `CREATE TABLE tag_images (
     reference TEXT NOT NULL, n INTEGER NOT NULL, id TEXT NOT NULL, PRIMARY KEY (reference, n)) WITHOUT ROWID;
   CREATE INDEX tag_images_id ON tag_images (id);
   ALTER TABLE tags ADD COLUMN annotations TEXT`,
  // The manifest or index that a name came as.
  `ALTER TABLE tags ADD COLUMN source TEXT;
   UPDATE tags SET source = repo_digest WHERE repo_digest IN (SELECT digest FROM manifests)`,
];
const VERSION = 1 + migrations.length;
/** Writers hold the lock for milliseconds; one that waits longer than this waits for a process that is stopped. */
const BUSY_TIMEOUT_MS = 30_000;

/** Bytes of the log from which on `checkpoint` does something; what is beyond them is given back then. */
const LOG_BYTES = 256 * 1024;

const schema = `
  CREATE TABLE layers (
    n INTEGER PRIMARY KEY AUTOINCREMENT, diff_id TEXT NOT NULL UNIQUE, tar_size INTEGER NOT NULL, size INTEGER NOT NULL,
    implied_dirs TEXT NOT NULL, created INTEGER NOT NULL, unsynced_boot TEXT);
  CREATE INDEX layers_unsynced ON layers (unsynced_boot) WHERE unsynced_boot IS NOT NULL;
  CREATE INDEX layers_tar_size ON layers (tar_size);
  CREATE TABLE layer_blobs (
    diff_id TEXT NOT NULL, digest TEXT NOT NULL, media_type TEXT NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY (diff_id, digest)) WITHOUT ROWID;
  CREATE INDEX layer_blobs_digest ON layer_blobs (digest);
  CREATE TABLE images (
    id TEXT PRIMARY KEY, config TEXT NOT NULL, manifest TEXT, created INTEGER NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE image_layers (diff_id TEXT NOT NULL, image TEXT NOT NULL, PRIMARY KEY (diff_id, image)) WITHOUT ROWID;
  CREATE INDEX image_layers_image ON image_layers (image);
  CREATE TABLE tags (reference TEXT PRIMARY KEY, id TEXT NOT NULL, repo_digest TEXT, tagged INTEGER NOT NULL) WITHOUT ROWID;
  CREATE INDEX tags_id ON tags (id);
  CREATE TABLE repo_digests (
    repository TEXT NOT NULL, digest TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (repository, digest)) WITHOUT ROWID;
  CREATE INDEX repo_digests_id ON repo_digests (id);
  CREATE TABLE containers (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, image TEXT NOT NULL, created INTEGER NOT NULL, record TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE container_layers (diff_id TEXT NOT NULL, container TEXT NOT NULL, PRIMARY KEY (diff_id, container)) WITHOUT ROWID;
  CREATE TABLE cache (key TEXT PRIMARY KEY, value TEXT NOT NULL, created INTEGER NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE cache_layers (diff_id TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (diff_id, key)) WITHOUT ROWID;
  CREATE INDEX cache_layers_key ON cache_layers (key);
  CREATE TABLE cache_groups (
    n INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, created INTEGER NOT NULL,
    UNIQUE (name, key));
  CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE leases (id TEXT PRIMARY KEY, pid INTEGER NOT NULL, start TEXT NOT NULL, purpose TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE lease_items (
    digest TEXT NOT NULL, kind TEXT NOT NULL, lease TEXT NOT NULL, PRIMARY KEY (digest, kind, lease)) WITHOUT ROWID;
  CREATE INDEX lease_items_lease ON lease_items (lease);
`;

/**
 * Opens `<root>/slipway.db`, making it where it is not there.
 *
 * WAL with synchronous=NORMAL: a committed record outlives the death of any process. A loss of power may take the latest commits with it,
 * but leaves the database whole, and never a record without the commits before it: what a record names was on disk before the record was
 * written, so that it still holds that no record names what is not there.
 *
 * @throws SlipwayError `STORE_TOO_NEW`, `STORE_UNUSABLE`
 */
export function openDatabase(linux: Linux, root: string): Records {
  const file = join(root, "slipway.db");
  let database: Database;
  try {
    database = new Database(file, { create: true, readwrite: true });
    database.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    if (version(database) !== VERSION) create(linux, root, database);
    database.run("PRAGMA synchronous = NORMAL");
    database.run(`PRAGMA journal_size_limit = ${LOG_BYTES}`);
  } catch (error) {
    if (error instanceof SlipwayError) throw error;
    throw new SlipwayError(
      "STORE_UNUSABLE",
      `the store's database ${file} cannot be opened: ${(error as Error).message}`,
      {
        cause: error,
      },
    );
  }

  let waiting: (() => void)[] | undefined;
  return {
    all: <Row>(sql: string, ...values: Value[]) => database.query(sql).all(...values) as Row[],
    first: <Row>(sql: string, ...values: Value[]) =>
      (database.query(sql).get(...values) ?? undefined) as Row | undefined,
    run: (sql, ...values) => database.query(sql).run(...values).changes,
    transaction(work) {
      if (waiting !== undefined) return work();
      database.run("BEGIN IMMEDIATE");
      const after: (() => void)[] = [];
      waiting = after;
      let result: ReturnType<typeof work>;
      try {
        result = work();
        database.run("COMMIT");
      } catch (error) {
        // A full disk ends the transaction by itself.
        if (database.inTransaction) database.run("ROLLBACK");
        throw error;
      } finally {
        waiting = undefined;
      }
      for (const each of after) each();
      return result;
    },
    afterCommit(work) {
      if (waiting === undefined) work();
      else waiting.push(work);
    },
    checkpoint() {
      if ((linux.statatOrUndefined(AT_FDCWD, `${file}-wal`)?.size ?? 0) > LOG_BYTES)
        database.run("PRAGMA wal_checkpoint(PASSIVE)");
    },
    close: () => database.close(),
  };
}

function version(database: Database): number {
  return (database.query("PRAGMA user_version").get() as { user_version: number }).user_version;
}

/** Makes the tables, or brings them to this version. Under a lock: changing to WAL mode fails at once, without waiting, where another process has the new file open. */
function create(linux: Linux, root: string, database: Database): void {
  const lock = linux.openat(AT_FDCWD, join(root, "slipway.db.lock"), O_RDWR | O_CREAT, 0o600);
  try {
    linux.flock(lock, LOCK_EX);
    const found = version(database);
    if (found === VERSION) return;
    if (found > VERSION) {
      throw new SlipwayError(
        "STORE_TOO_NEW",
        `the store ${root} was written by another version of slipway (schema ${found})`,
        {
          hint: "Use the slipway that wrote it, or another store by $SLIPWAY_ROOT.",
        },
      );
    }
    if (found === 0) database.run("PRAGMA journal_mode = WAL");
    database.run("BEGIN IMMEDIATE");
    for (const step of [schema, ...migrations].slice(found))
      for (const statement of step.split(";")) if (statement.trim() !== "") database.run(statement);
    database.run(`PRAGMA user_version = ${VERSION}`);
    database.run("COMMIT");
  } finally {
    linux.close(lock);
  }
}
