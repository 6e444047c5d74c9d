import { type Command, flag, text } from "../Command.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Serve the images of the store to Docker, Podman, skopeo and other slipways, until Ctrl-C",
  example: "slipway registry serve --addr 127.0.0.1:5000 --writable",
  min: 0,
  max: 0,
  flags: {
    addr: { type: "string", help: "HOST:PORT to listen on (default 127.0.0.1:5000); port 0: a free one" },
    writable: { type: "bool", short: "w", help: "Take pushes and deletions as well" },
    quiet: { type: "bool", short: "q", help: "Print the address alone" },
  },
  async run(call) {
    const { serveRegistry } = await import("../../engine/serve/serveRegistry.ts");
    const engine = await call.engine();
    const quiet = flag(call, "quiet");
    const writable = flag(call, "writable");
    const server = serveRegistry(engine, {
      addr: text(call, "addr") ?? "127.0.0.1:5000",
      writable,
      log: quiet ? () => {} : (line) => call.err(`${line}\n`),
    });
    const ended = new Promise<void>((resolve) => {
      if (call.signal.aborted) resolve();
      else call.signal.addEventListener("abort", () => resolve(), { once: true });
    });
    if (!server.loopback)
      call.err(
        `WARNING: whoever reaches ${server.url} can read all images of the store${writable ? ", replace and delete them" : ""}\n`,
      );
    call.out(
      quiet ? `${server.url}\n` : `Serving ${engine.store.root} at ${server.url}${writable ? ", writable" : ""}\n`,
    );
    await ended;
    await server.stop();
    return 0;
  },
};
