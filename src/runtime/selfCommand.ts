import { USER_VARIABLE } from "../linux/userNamespace.ts";

/** The command line that runs slipway again with these arguments: the compiled executable, or Bun with our source. */
export function selfCommand(args: string[]): [program: string, ...args: string[]] {
  const compiled = Bun.main.startsWith("/$bunfs/");
  return compiled ? [process.execPath, ...args] : [process.execPath, `${import.meta.dir}/../main.ts`, ...args];
}

/** What a slipway finds this store by, and whose it is, when another program starts it for us. */
export function selfEnvironment(root: string): Record<string, string> {
  const names = ["XDG_RUNTIME_DIR", USER_VARIABLE];
  const user = names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : []));
  return {
    PATH: process.env.PATH ?? "/usr/sbin:/usr/bin:/sbin:/bin",
    SLIPWAY_ROOT: root,
    ...(Object.fromEntries(user) as Record<string, string>),
  };
}
