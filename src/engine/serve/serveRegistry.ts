import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { Engine } from "../Engine.ts";
import { createHandler } from "./handler.ts";
import { Refusal, refusalOf } from "./protocol.ts";

export interface ServeOptions {
  /** `HOST:PORT`; a port of 0 is a free one. */
  addr: string;
  /** Takes what is pushed, and deletes. */
  writable?: boolean;
  /** Hears what was written and deleted. */
  log?: (line: string) => void;
}

export interface RegistryServer {
  /** With the real port. */
  url: string;
  /** Nobody but this machine can reach it. */
  loopback: boolean;
  /** Ends the requests under way; nothing half is left. */
  stop(): Promise<void>;
}

/** A blob may be as large as the disk; a manifest is bounded where it is read. */
const NO_BOUND = Number.MAX_SAFE_INTEGER;

/**
 * Serves the store by the distribution protocol (distribution-spec v1.1), without authentication. A change to the store, by whatever
 * process, is seen at once.
 * @throws SlipwayError `INVALID_ADDRESS`, `ADDRESS_IN_USE`
 */
export function serveRegistry(
  engine: Engine,
  { addr, writable = false, log = () => {} }: ServeOptions,
): RegistryServer {
  const { hostname, port } = parseAddress(addr);
  const handler = createHandler(engine, { writable, log });
  let server: Bun.Server<undefined>;
  try {
    server = Bun.serve({
      hostname,
      port,
      development: false,
      // Packing a layer for its digest, and unpacking a pushed one, may take longer than any number here.
      idleTimeout: 0,
      maxRequestBodySize: NO_BOUND,
      async fetch(request) {
        try {
          refuseBrowsers(request);
          return await handler.handle(request, new URL(request.url));
        } catch (error) {
          if (!(error instanceof Refusal) && !engine.signal.aborted)
            log(`${request.method} ${new URL(request.url).pathname}: ${(error as Error).message}`);
          return refusalOf(error).response();
        }
      },
      error: (error) => refusalOf(error).response(),
    });
  } catch (error) {
    handler.close();
    const inUse = (error as { code?: string }).code === "EADDRINUSE";
    throw new SlipwayError(
      inUse ? "ADDRESS_IN_USE" : "INVALID_ADDRESS",
      `cannot listen on ${addr}: ${inUse ? "the address is in use" : (error as Error).message}`,
      { cause: error, ...(inUse ? { hint: "Name another port by --addr, or 0 for a free one." } : {}) },
    );
  }
  const shown = hostname.includes(":") ? `[${hostname}]` : hostname;
  return {
    url: `http://${shown}:${server.port}`,
    loopback: hostname === "localhost" || hostname === "::1" || hostname.startsWith("127."),
    async stop() {
      await server.stop(true);
      handler.close();
    },
  };
}

/**
 * A page of the web has no business here: it could otherwise read and write by the browser of who has it open. What a person types into the
 * address line passes.
 */
function refuseBrowsers({ headers }: Request): void {
  const site = headers.get("sec-fetch-site") ?? "none";
  if (headers.has("origin") || site !== "none") throw new Refusal(403, "DENIED", "not for pages of the web");
}

/** @throws SlipwayError `INVALID_ADDRESS` */
function parseAddress(addr: string): { hostname: string; port: number } {
  const [, six, four, digits] = /^(?:\[([0-9a-fA-F:]+)\]|([A-Za-z0-9.-]*)):(\d{1,5})$/.exec(addr) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65535)
    throw new SlipwayError("INVALID_ADDRESS", `${addr} is no address to listen on`, {
      hint: "An address is HOST:PORT, as in 127.0.0.1:5000.",
    });
  return { hostname: six ?? (four || "0.0.0.0"), port };
}
