import type { Command } from "../Command.ts";
import { version } from "../version.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Show the version",
  example: "slipway version --format '{{.Client.Version}}'",
  min: 0,
  max: 0,
  flags: { format: { type: "string", short: "f", help: "json or a Go template" } },
  async run(call) {
    const { text } = await import("../Command.ts");
    const about = {
      Client: {
        Version: version,
        Runtime: `Bun ${Bun.version}`,
        Os: process.platform,
        Arch: process.arch === "x64" ? "amd64" : process.arch,
      },
    };
    const format = text(call, "format");
    if (format === undefined) {
      const { Version, Runtime, Os, Arch } = about.Client;
      call.out(`slipway\n Version:  ${Version}\n Runtime:  ${Runtime}\n OS/Arch:  ${Os}/${Arch}\n`);
    } else if (format === "json") call.out(`${JSON.stringify(about)}\n`);
    else {
      const { compileTemplate } = await import("../render/template.ts");
      call.out(`${compileTemplate(format)(about)}\n`);
    }
    return 0;
  },
};
