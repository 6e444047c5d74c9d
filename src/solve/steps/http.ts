import { join } from "node:path";
import { copyContents } from "../../layer/copyContents.ts";
import { AT_FDCWD, O_CREAT, O_DIRECTORY, O_EXCL, O_WRONLY } from "../../linux/constants.ts";
import { createHasher, type Digest } from "../../oci/digest.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { HttpStep } from "../../plan/graph.ts";
import type { FetchContext, TreeResult } from "../SolveContext.ts";
import { createFileTree } from "../tree/FileTree.ts";
import { createTreeDigester } from "../tree/treeDigest.ts";
import { timespec } from "./writeCopies.ts";

interface Remembered {
  digest: Digest;
  etag?: string;
  lastModified?: string;
}

/**
 * ADD of a URL: a tree with one file, mode 0600, its time that of Last-Modified. With a checksum, or while the server says by ETag or
 * Last-Modified that nothing has changed, the bytes come from the store.
 * @throws SlipwayError `FETCH_FAILED`, `CHECKSUM_MISMATCH`
 */
export async function http(step: HttpStep, context: FetchContext): Promise<TreeResult> {
  const { store, emit } = context;
  emit({ type: "start", step });
  const key = `http:${step.url}`;
  const remembered = readMemory(context, key);
  const inStore = (digest: Digest): boolean => {
    context.lease.protect("blob", digest); // before it is looked for, so that nobody takes it in between
    return store.blobs.has(digest);
  };

  let memory: Remembered;
  let cached = false;
  if (step.checksum !== undefined && !step.ignoreCache && inStore(step.checksum)) {
    memory = remembered?.digest === step.checksum ? remembered : { digest: step.checksum };
    cached = true;
  } else {
    const headers: Record<string, string> = {};
    if (remembered !== undefined && inStore(remembered.digest) && !step.ignoreCache) {
      if (remembered.etag !== undefined) headers["If-None-Match"] = remembered.etag;
      if (remembered.lastModified !== undefined) headers["If-Modified-Since"] = remembered.lastModified;
    }
    const response = await get(step, context, headers);
    if (response.status === 304 && remembered !== undefined) {
      memory = remembered;
      cached = true;
    } else {
      memory = await download(step, context, response);
      store.cache.put(key, JSON.stringify(memory), [], [memory.digest]);
    }
  }
  if (step.checksum !== undefined && memory.digest !== step.checksum) {
    throw new SlipwayError(
      "CHECKSUM_MISMATCH",
      `${step.url} is ${memory.digest}, not ${step.checksum} as --checksum says`,
      {
        ...(step.range === undefined ? {} : { range: step.range }),
      },
    );
  }
  const result = treeOfFile(step, context, memory);
  emit({ type: "done", step, cached });
  return result;
}

function readMemory(context: FetchContext, key: string): Remembered | undefined {
  const record = context.store.cache.get(key);
  return record === undefined ? undefined : (JSON.parse(record.value) as Remembered);
}

async function get(step: HttpStep, context: FetchContext, headers: Record<string, string>): Promise<Response> {
  let response: Response;
  try {
    // The bytes as they lie on the server: an encoding of the transfer would be undone, and a checksum fail.
    const identity = { "Accept-Encoding": "identity", ...headers };
    response = await fetch(step.url, { headers: identity, signal: context.signal, decompress: false });
  } catch (error) {
    context.signal.throwIfAborted();
    throw failure(step, error instanceof Error ? error.message : String(error), error);
  }
  if (response.ok || response.status === 304) return response;
  throw failure(step, `the server answered ${response.status} ${response.statusText}`);
}

function failure(step: HttpStep, why: string, cause?: unknown): SlipwayError {
  const shown = new URL(step.url);
  shown.username = "";
  shown.password = "";
  return new SlipwayError("FETCH_FAILED", `cannot fetch ${shown.href}: ${why}`, {
    ...(cause === undefined ? {} : { cause }),
    ...(step.range === undefined ? {} : { range: step.range }),
  });
}

/** Streams the body into the store's blobs: named by its digest, kept for the next build. */
async function download(step: HttpStep, context: FetchContext, response: Response): Promise<Remembered> {
  const { linux, lease, store } = context;
  const aside = join(lease.directory(), "body");
  const hasher = createHasher();
  const fd = linux.openat(AT_FDCWD, aside, O_WRONLY | O_CREAT | O_EXCL, 0o600);
  let size = 0;
  try {
    if (response.body !== null) {
      for await (const chunk of response.body) {
        hasher.update(chunk);
        linux.write(fd, chunk);
        size += chunk.length;
      }
    }
  } catch (error) {
    context.signal.throwIfAborted();
    throw failure(step, error instanceof Error ? error.message : String(error), error);
  } finally {
    linux.close(fd);
  }
  const digest = hasher.digest();
  await store.blobs.ingest(Bun.file(aside).stream(), { digest, size }, { lease });
  const memory: Remembered = { digest };
  const etag = response.headers.get("etag");
  const lastModified = response.headers.get("last-modified");
  if (etag !== null) memory.etag = etag;
  if (lastModified !== null) memory.lastModified = lastModified;
  return memory;
}

function treeOfFile(step: HttpStep, context: FetchContext, memory: Remembered): TreeResult {
  const { linux, lease, store } = context;
  const directory = lease.directory();
  const rootFd = linux.openat(AT_FDCWD, directory, O_DIRECTORY);
  const modified = memory.lastModified === undefined ? undefined : validTime(Date.parse(memory.lastModified));
  const from = linux.openat(AT_FDCWD, store.blobs.path(memory.digest), 0);
  const to = linux.openat(rootFd, step.fileName, O_WRONLY | O_CREAT | O_EXCL, 0o600);
  try {
    copyContents(linux, from, to, store.blobs.size(memory.digest) ?? 0);
    linux.fchmod(to, 0o600);
    linux.utimensat(to, "", timespec(modified ?? 0));
  } finally {
    linux.close(from);
    linux.close(to);
  }
  const tree = createFileTree(linux, rootFd, { rootOwned: true });
  const made = modified === undefined ? {} : { made: Math.floor(modified / 1000) };
  return { kind: "tree", tree, digester: createTreeDigester(linux, tree), ...made };
}

function validTime(milliseconds: number): number | undefined {
  return Number.isNaN(milliseconds) ? undefined : milliseconds;
}
