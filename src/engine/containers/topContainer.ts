import { SlipwayError } from "../../oci/SlipwayError.ts";
import { findProgram } from "../../runtime/findProgram.ts";
import { containerProcesses } from "./containerProcesses.ts";
import { isUp, refreshContainer } from "./containerState.ts";
import type { Engine } from "../Engine.ts";

/** The container's processes as the host's ps(1) shows them with these options, the titles first. @throws SlipwayError `CONTAINER_NOT_RUNNING` */
export async function topContainer(engine: Engine, nameOrId: string, psArgs: string[]): Promise<string[][]> {
  const record = refreshContainer(engine, engine.store.containers.find(nameOrId));
  if (!isUp(record)) throw new SlipwayError("CONTAINER_NOT_RUNNING", `container ${record.name} is not running`);
  const ps = findProgram("ps");
  if (ps === undefined) {
    throw new SlipwayError("PS_MISSING", "top shows what ps(1) says, which is not on this host", {
      hint: "Install it: apt-get install procps",
    });
  }
  const args = psArgs.length === 0 ? ["-ef"] : psArgs;
  const child = Bun.spawn([ps, ...args], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [output, said] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  if ((await child.exited) !== 0) throw new SlipwayError("USAGE", `ps ${args.join(" ")}: ${said.trim()}`);
  const [head = "", ...lines] = output.split("\n").filter((line) => line !== "");
  const titles = head.trim().split(/\s+/);
  const pidAt = titles.indexOf("PID");
  if (pidAt < 0)
    throw new SlipwayError("USAGE", "couldn't find PID field in ps output", { hint: "Show it, too: -o pid,…" });
  const own = new Set(containerProcesses(engine, record).map(String));
  const rows = lines.map((line) => fields(line, titles.length)).filter((row) => own.has(row[pidAt] as string));
  return [titles, ...rows];
}

/** The last column holds blanks. */
function fields(line: string, count: number): string[] {
  const words = line.trim().split(/\s+/);
  return [...words.slice(0, count - 1), words.slice(count - 1).join(" ")];
}
