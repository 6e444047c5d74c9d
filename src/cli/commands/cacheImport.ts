import { importCacheMount } from "../../engine/build/cacheMounts.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { type Command, given, number, text } from "../Command.ts";

export const command: Command = {
  usage: "[OPTIONS] [FILE]",
  summary: "Fill a cache mount from a tar, in place of what it holds; standard input where no file is given",
  example: "slipway cache import --id npm npm.tar.zst",
  min: 0,
  max: 1,
  flags: {
    id: { type: "string", help: "Its id; the target of the mount where the Dockerfile says none" },
    name: { type: "string", help: "Name of its directory, where several have the id" },
    uid: { type: "int", help: "Owner of a new one, as the mount will ask for it (default: 0)" },
    gid: { type: "int", help: "Group of a new one (default: 0)" },
    mode: { type: "string", help: "Mode of a new one, where the mount says one" },
  },
  async run(call) {
    const which = { ...given("id", text(call, "id")), ...given("name", text(call, "name")) };
    if (Object.keys(which).length === 0) throw new SlipwayError("USAGE", "cache import needs --id or --name");
    const [file = "-"] = call.positionals;
    const source = file === "-" ? Bun.stdin : Bun.file(file);
    if (file !== "-" && !(await Bun.file(file).exists()))
      throw new SlipwayError("INVALID_ARCHIVE", `no such file: ${file}`);
    const mount = await importCacheMount(await call.engine(), which, {
      chunks: source.stream(),
      ...given("uid", number(call, "uid")),
      ...given("gid", number(call, "gid")),
      ...given("mode", mode(text(call, "mode"))),
    });
    call.out(`${mount.id}\n`);
    return 0;
  },
};

function mode(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (!/^[0-7]{1,5}$/.test(value)) throw new SlipwayError("USAGE", `--mode ${value}: it is octal, as 0755`);
  return Number.parseInt(value, 8);
}
