import { closeSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { type Compression, exportCacheMount } from "../../engine/build/cacheMounts.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { type Command, given, text } from "../Command.ts";
import { isTerminal } from "../isTerminal.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Write what a cache mount holds as a tar",
  example: "slipway cache export --id npm --compress zstd -o npm.tar.zst",
  min: 0,
  max: 0,
  flags: {
    id: { type: "string", help: "Its id; the target of the mount where the Dockerfile says none" },
    name: { type: "string", help: "Name of its directory, where several have the id" },
    output: { type: "string", short: "o", help: "File instead of standard output" },
    compress: { type: "string", help: "zstd, gzip or none (default)" },
  },
  async run(call) {
    const which = { ...given("id", text(call, "id")), ...given("name", text(call, "name")) };
    if (Object.keys(which).length === 0) throw new SlipwayError("USAGE", "cache export needs --id or --name");
    const compression = text(call, "compress") ?? "none";
    if (!["none", "gzip", "zstd"].includes(compression))
      throw new SlipwayError("USAGE", `--compress ${compression} is not known: it takes zstd, gzip or none`);
    const output = text(call, "output");
    if (output === undefined && isTerminal(1))
      throw new SlipwayError("USAGE", "a tar is nothing for a terminal: give -o FILE, or send it elsewhere");
    const aside = output === undefined || output === "-" ? undefined : `${output}.part`;
    const engine = await call.engine();
    const fd = aside === undefined ? 1 : openSync(aside, "w", 0o600);
    try {
      await exportCacheMount(engine, which, {
        compression: compression as Compression,
        write: (bytes) => {
          for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
        },
      });
      if (aside !== undefined) renameSync(aside, output as string);
    } catch (error) {
      if (aside !== undefined) rmSync(aside, { force: true });
      throw error;
    } finally {
      if (aside !== undefined) closeSync(fd);
    }
    return 0;
  },
};
