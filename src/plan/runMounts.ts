import { posix } from "node:path";
import type { MountFlag } from "../dockerfile/instruction.ts";
import { parseMount } from "../dockerfile/parseMount.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import type { RunMount } from "./graph.ts";
import type { PlanContext } from "./PlanContext.ts";
import type { Command, StageState } from "./StageState.ts";
import { treePath } from "./paths.ts";

/** `--mount` flags with their defaults, words expanded by `expand`. */
export function runMounts(
  state: StageState,
  context: PlanContext,
  command: Command,
  mounts: readonly MountFlag[],
  expand: (word: string) => string,
): RunMount[] {
  const namespace = context.buildArgs.get("BUILDKIT_CACHE_MOUNT_NS") ?? "";
  const planMount = (given: MountFlag, at: number): RunMount => {
    // What is one of a few words was left unread where it holds a variable.
    const { type, sharing, readOnly, required } = given.text === undefined ? given : parseMount(given.text, expand);
    const flag: MountFlag = {
      ...given,
      type,
      ...(sharing === undefined ? {} : { sharing }),
      ...(readOnly === undefined ? {} : { readOnly }),
      ...(required === undefined ? {} : { required }),
    };
    const word = (text: string | undefined): string => (text === undefined ? "" : expand(text));
    const target = word(flag.target);
    const source = treePath(word(flag.source));
    const absolute = (): string => {
      const path = posix.resolve("/", state.config.WorkingDir ?? "/", target);
      if (target !== "" && path !== "/") return path;
      throw new SlipwayError("INVALID_INSTRUCTION", `invalid mount target ${JSON.stringify(target)}`);
    };
    // BuildKit's number counts the agents that have a target of their own, too.
    const agent = (): number => mounts.slice(0, at).filter((each) => each.type === "ssh").length;
    switch (flag.type) {
      case "bind": {
        const from = flag.from === undefined ? context.contextStep("context") : command.sources[at]?.step;
        return { type: "bind", from, source, target: absolute(), readOnly: flag.readOnly ?? true };
      }
      case "cache":
        return {
          type: "cache",
          id: (namespace === "" ? "" : `${namespace}/`) + (word(flag.id) || posix.normalize(target)),
          sharing: flag.sharing ?? "shared",
          from: command.sources[at]?.step,
          source,
          target: absolute(),
          readOnly: flag.readOnly ?? false,
          ...numberField("mode", word(flag.mode), 8),
          ...numberField("uid", word(flag.uid), 10),
          ...numberField("gid", word(flag.gid), 10),
        };
      case "tmpfs": {
        const size = word(flag.size);
        return { type: "tmpfs", target: absolute(), ...(size === "" ? {} : { size: parseSize(size) }) };
      }
      case "secret": {
        const env = word(flag.env);
        const id = word(flag.id) || posix.basename(target || env);
        if (id === "") throw new SlipwayError("INVALID_INSTRUCTION", "a secret mount needs an id or a target");
        const file = target === "" ? (env === "" ? `/run/secrets/${posix.basename(id)}` : undefined) : absolute();
        return {
          type: "secret",
          id,
          ...(file === undefined ? {} : { target: file }),
          ...(env === "" ? {} : { env }),
          required: flag.required ?? false,
          ...owned(word, flag, 0o400),
        };
      }
      case "ssh":
        return {
          type: "ssh",
          id: word(flag.id) || "default",
          target: target === "" ? `/run/buildkit/ssh_agent.${agent()}` : absolute(),
          required: flag.required ?? false,
          ...owned(word, flag, 0o600),
        };
    }
  };
  return mounts.map(planMount);
}

function owned(word: (text: string | undefined) => string, flag: MountFlag, mode: number) {
  return {
    mode: numberField("mode", word(flag.mode), 8).mode ?? mode,
    uid: numberField("uid", word(flag.uid), 10).uid ?? 0,
    gid: numberField("gid", word(flag.gid), 10).gid ?? 0,
  };
}

function numberField<K extends string>(key: K, text: string, base: 8 | 10): Partial<Record<K, number>> {
  if (text === "") return {};
  if (!(base === 8 ? /^[0-7]+$/ : /^\d+$/).test(text))
    throw new SlipwayError("INVALID_INSTRUCTION", `invalid value ${text} for ${key}`);
  return { [key]: Number.parseInt(text, base) } as Partial<Record<K, number>>;
}

const powers = "bkmgtp";

/** docker/go-units, RAMInBytes: powers of 1024, `k`, `kb` and `kib` alike. */
function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?(?:([kmgtp])i?b?|b)?$/i.exec(text);
  if (match === null) throw new SlipwayError("INVALID_INSTRUCTION", `invalid value for size: ${JSON.stringify(text)}`);
  return Math.floor(Number(match[1]) * 1024 ** powers.indexOf((match[2] ?? "b").toLowerCase()));
}
