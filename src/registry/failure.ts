import { isDigest } from "../oci/digest.ts";
import { MAX_MANIFEST_BYTES } from "../oci/parseManifest.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { readInTime, Transient, usual } from "./retry.ts";

/** The connection broke, or stood still, after the answer had begun. */
export class BodyBroken extends Transient {}

/** The body of an answer that is kept whole. @throws SlipwayError `MANIFEST_TOO_LARGE`; `BodyBroken` */
export async function bounded(response: Response, stall = usual.stall): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  if (response.body === null) return new Uint8Array(0);
  const reader = response.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  for (;;) {
    let piece: Awaited<ReturnType<typeof reader.read>>;
    try {
      piece = await readInTime(reader, stall);
    } catch (error) {
      void reader.cancel().catch(() => {});
      throw new BodyBroken(`the connection broke: ${(error as Error).message}`, undefined, error);
    }
    if (piece.done) return Buffer.concat(chunks);
    chunks.push(piece.value);
    length += piece.value.length;
    if (length > MAX_MANIFEST_BYTES) {
      await reader.cancel();
      throw new SlipwayError("MANIFEST_TOO_LARGE", `a manifest of more than ${MAX_MANIFEST_BYTES} bytes`);
    }
  }
}

/** What an answer of the registry means. `repository` with the host; `reference`: a tag, a digest, or "". */
export async function failure(
  at: { host: string },
  response: Response,
  { repository, reference, push = false }: { repository: string; reference: string; push?: boolean },
): Promise<SlipwayError> {
  const text = Buffer.from(await bounded(response).catch(() => new Uint8Array(0))).toString("utf8");
  let said = "";
  try {
    const parsed = JSON.parse(text) as { errors?: { code?: string; message?: string }[] };
    said = parsed.errors?.map((each) => each.message || each.code).join("; ") ?? "";
  } catch {
    // no distribution error document: the status has to do
  }
  const familiar = repository.replace(/^docker\.io\/(library\/)?/, "");
  const name = reference === "" ? familiar : `${familiar}${isDigest(reference) ? "@" : ":"}${reference}`;
  const detail = said === "" ? "" : `: ${said}`;
  switch (response.status) {
    case 404:
      return new SlipwayError("MANIFEST_UNKNOWN", `${name} not found in ${at.host}${detail}`, {
        hint: "Check the name and the tag.",
      });
    case 401:
    case 403:
      return new SlipwayError(
        "UNAUTHORIZED",
        `${at.host} does not allow to ${push ? "push" : "pull"} ${name}${detail}`,
        {
          hint: push
            ? `Log in with an account that may push there: slipway login ${loginHost(at.host)}`.trimEnd()
            : `The repository may not exist or may be private; to log in: slipway login ${loginHost(at.host)}`.trimEnd(),
        },
      );
    case 429:
      return limited(at, detail);
    default:
      return new SlipwayError("REGISTRY_FAILED", `${at.host} answered ${response.status} for ${name}${detail}`);
  }
}

/** The registry, or its token server, could not be asked to the end. */
export function unreachable(at: { host: string }, error: Transient): SlipwayError {
  if (error.message.endsWith("answered 429")) return limited(at, "", error);
  const certificate = error.message.startsWith("its certificate");
  return new SlipwayError("REGISTRY_UNREACHABLE", `the registry ${at.host} cannot be reached: ${error.message}`, {
    hint: certificate
      ? `Put its authority's certificate into /etc/containers/certs.d/${at.host}/ca.crt; --tls-verify=false does without.`
      : "Check the name, the network, and a proxy if there is one.",
    cause: error,
  });
}

function limited(at: { host: string }, detail: string, cause?: unknown): SlipwayError {
  return new SlipwayError("RATE_LIMITED", `${at.host} answers no more for now (too many requests)${detail}`, {
    hint: `Wait a while, log in for a higher limit (${`slipway login ${loginHost(at.host)}`.trimEnd()}), or name a mirror in the configuration.`,
    cause,
  });
}

function loginHost(host: string): string {
  return host === "docker.io" ? "" : host;
}
