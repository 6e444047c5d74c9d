import { mediaTypes } from "../../oci/descriptor.ts";
import { type Digest, isDigest } from "../../oci/digest.ts";
import { MAX_MANIFEST_BYTES } from "../../oci/parseManifest.ts";
import { familiarName } from "../../oci/reference.ts";
import type { Lease } from "../../store/Store.ts";
import type { Engine } from "../Engine.ts";
import { serveBlob } from "./blobResponse.ts";
import { createContent } from "./content.ts";
import { deleteManifest } from "./deleteManifest.ts";
import { nameOf, repositoryOf } from "./names.ts";
import { digestOf, pageOf, Refusal, type Route, routeOf } from "./protocol.ts";
import { takeManifest } from "./takeManifest.ts";
import { createUploads, rangeHeader, type Upload } from "./uploads.ts";

export interface Handler {
  /** @throws Refusal, SlipwayError: `refusalOf` makes the answer of them */
  handle(request: Request, url: URL): Promise<Response>;
  close(): void;
}

/** So long at least a blob that was sent, or that a client was told to be here, waits for the manifest that names it. */
const KEEP_MS = 30 * 60_000;

/** The protocol's ends over the store. */
export function createHandler(
  engine: Engine,
  { writable, log }: { writable: boolean; log: (line: string) => void },
): Handler {
  const { store } = engine;
  const content = createContent(store);
  const uploads = createUploads(store);
  const keeping = createKeeping(() => store.lease("serve"));

  async function handle(request: Request, url: URL): Promise<Response> {
    const route = routeOf(url.pathname);
    if (route === undefined) throw new Refusal(404, "UNSUPPORTED", "the protocol has no such path");
    const { method } = request;
    const reads = method === "GET" || method === "HEAD";
    if (!reads && !writable) {
      throw new Refusal(
        405,
        "UNSUPPORTED",
        "this registry is read only: slipway registry serve --writable takes pushes",
        {
          Allow: "GET, HEAD",
        },
      );
    }
    switch (route.end) {
      case "base":
        return reads ? Response.json({}, { headers: versionHeader }) : notAllowed("GET, HEAD");
      case "catalog":
        return reads ? catalog(url) : notAllowed("GET, HEAD");
      case "tags":
        return reads ? tags(route.name, url) : notAllowed("GET, HEAD");
      case "referrers":
        return reads ? referrers(route, url) : notAllowed("GET, HEAD");
      case "manifest":
        return manifest(request, route, url);
      case "blob": {
        if (!reads) return notAllowed("GET, HEAD");
        if (writable) keeping.current().protect("blob", route.digest);
        const found = content.blob(route.digest);
        if (found === undefined) throw new Refusal(404, "BLOB_UNKNOWN", "the blob is not here");
        return serveBlob(request, route.digest, found);
      }
      case "uploads":
        return method === "POST" ? begin(request, route.name, url) : notAllowed("POST");
      case "upload":
        return upload(request, route, url);
    }
  }

  function catalog(url: URL): Response {
    const names = content.repositories().flatMap((repository) => nameOf(repository) ?? []);
    const { items, headers } = pageOf([...new Set(names)].sort(), url);
    return Response.json({ repositories: items }, { headers });
  }

  function tags(name: string, url: URL): Response {
    const found = content.tags(repositoryOf(name, mirrored(url)));
    if (found === undefined) throw new Refusal(404, "NAME_UNKNOWN", `there is no repository ${name}`);
    const { items, headers } = pageOf(found, url);
    return Response.json({ name, tags: items }, { headers });
  }

  function referrers({ name, digest }: Route & { end: "referrers" }, url: URL): Response {
    const artifactType = url.searchParams.get("artifactType") ?? undefined;
    const manifests = content.referrers(repositoryOf(name, mirrored(url)), digest, artifactType);
    return new Response(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }), {
      headers: {
        "Content-Type": mediaTypes.ociIndex,
        ...(artifactType === undefined ? {} : { "OCI-Filters-Applied": "artifactType" }),
      },
    });
  }

  async function manifest(request: Request, route: Route & { end: "manifest" }, url: URL): Promise<Response> {
    const { name, reference, digest } = route;
    const repository = repositoryOf(name, mirrored(url));
    const wanted = digest === undefined ? { tag: reference } : { digest };
    switch (request.method) {
      case "GET":
      case "HEAD": {
        const found = await content.manifest(repository, wanted);
        if (found === undefined) throw new Refusal(404, "MANIFEST_UNKNOWN", `${name} has no ${reference}`);
        if (writable) keeping.current().protect("blob", found.digest);
        return new Response(request.method === "HEAD" ? null : (found.bytes as Uint8Array<ArrayBuffer>), {
          headers: {
            "Content-Type": found.mediaType,
            "Content-Length": String(found.bytes.length),
            "Docker-Content-Digest": found.digest,
            Etag: `"${found.digest}"`,
          },
        });
      }
      case "PUT": {
        const bytes = await readManifestBody(request);
        const contentType = (request.headers.get("content-type") ?? "").split(";")[0]?.trim() ?? "";
        const lease = store.lease("serve");
        try {
          const taken = await takeManifest(engine, content, {
            repository,
            reference: wanted,
            bytes,
            contentType,
            lease,
          });
          if (digest === undefined) log(`took ${familiarName(`${repository}:${reference}`)} ${taken.digest}`);
          return new Response(null, {
            status: 201,
            headers: {
              Location: `/v2/${name}/manifests/${taken.digest}`,
              "Docker-Content-Digest": taken.digest,
              ...(taken.subject === undefined ? {} : { "OCI-Subject": taken.subject }),
            },
          });
        } finally {
          lease.release();
        }
      }
      case "DELETE":
        if (!(await deleteManifest(engine, content, repository, wanted)))
          throw new Refusal(404, "MANIFEST_UNKNOWN", `${name} has no ${reference}`);
        log(`deleted ${name} ${reference}`);
        return new Response(null, { status: 202 });
      default:
        return notAllowed("GET, HEAD, PUT, DELETE");
    }
  }

  async function begin(request: Request, name: string, url: URL): Promise<Response> {
    const { searchParams } = url;
    const mount = searchParams.get("mount");
    if (mount !== null && isDigest(mount)) {
      keeping.current().protect("blob", mount);
      if (content.blob(mount) !== undefined) return created(name, mount);
    }
    const digest = searchParams.get("digest");
    const wanted = digest === null ? undefined : digestOf(digest);
    const session = uploads.begin(name);
    if (wanted === undefined) return progress(202, name, session);
    try {
      await session.write(request.body, said(request));
    } catch (error) {
      session.cancel();
      throw error;
    }
    session.finish(wanted, keeping.current());
    return created(name, wanted);
  }

  async function upload(request: Request, route: Route & { end: "upload" }, url: URL): Promise<Response> {
    const { name } = route;
    const session = uploads.find(route.session, name);
    switch (request.method) {
      case "GET":
      case "HEAD":
        return progress(204, name, session);
      case "PATCH":
        await session.write(request.body, said(request));
        return progress(202, name, session);
      case "PUT": {
        const digest = digestOf(url.searchParams.get("digest") ?? "");
        await session.write(request.body, said(request));
        session.finish(digest, keeping.current());
        return created(name, digest);
      }
      case "DELETE":
        session.cancel();
        return new Response(null, { status: 204 });
      default:
        return notAllowed("GET, HEAD, PATCH, PUT, DELETE");
    }
  }

  return {
    handle,
    close() {
      uploads.close();
      keeping.close();
    },
  };
}

const versionHeader = { "Docker-Distribution-Api-Version": "registry/2.0" };

/** The registry that a client of a mirror asks for, as containerd and BuildKit say it. @throws Refusal `NAME_INVALID` */
function mirrored(url: URL): string | undefined {
  const host = url.searchParams.get("ns");
  if (host === null) return undefined;
  if (!/^[a-zA-Z0-9.-]{1,253}(:\d{1,5})?$/.test(host))
    throw new Refusal(400, "NAME_INVALID", "ns is not the host of a registry");
  return host === "registry-1.docker.io" || host === "index.docker.io" ? "docker.io" : host;
}

function said({ headers }: Request): { range: string | null; length: string | null } {
  return { range: headers.get("content-range"), length: headers.get("content-length") };
}

function progress(status: number, name: string, session: Upload): Response {
  const { id, size } = session;
  return new Response(null, {
    status,
    headers: { Location: `/v2/${name}/blobs/uploads/${id}`, "Docker-Upload-UUID": id, ...rangeHeader(size) },
  });
}

function created(name: string, digest: Digest): Response {
  return new Response(null, {
    status: 201,
    headers: { Location: `/v2/${name}/blobs/${digest}`, "Docker-Content-Digest": digest },
  });
}

function notAllowed(allow: string): never {
  throw new Refusal(405, "UNSUPPORTED", `allowed here: ${allow}`, { Allow: allow });
}

/** @throws Refusal where it is larger than a manifest may be */
async function readManifestBody(request: Request): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.length;
    if (size > MAX_MANIFEST_BYTES)
      throw new Refusal(413, "MANIFEST_INVALID", `a manifest has at most ${MAX_MANIFEST_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Leases that take turns: what one protects stays for `KEEP_MS` at least, and for twice that at most. */
function createKeeping(take: () => Lease): { current(): Lease; close(): void } {
  let held: { lease: Lease; since: number }[] = [];
  return {
    current() {
      const now = Date.now();
      const [latest] = held;
      if (latest !== undefined && now - latest.since < KEEP_MS) return latest.lease;
      for (const { lease } of held.slice(1)) lease.release();
      const fresh = { lease: take(), since: now };
      // One that nobody has asked for since its time is over holds nothing that anybody waits for.
      if (latest !== undefined && now - latest.since >= 2 * KEEP_MS) {
        latest.lease.release();
        held = [fresh];
      } else held = latest === undefined ? [fresh] : [fresh, latest];
      return fresh.lease;
    },
    close() {
      for (const { lease } of held) lease.release();
      held = [];
    },
  };
}
