import type { CredentialConfig } from "./credentialFile.ts";

/** The helper that keeps what belongs to one of these keys, and the key to ask it for. */
export function helperFor(
  { credHelpers = {}, credsStore }: CredentialConfig,
  keys: readonly string[],
): { helper: string; key: string } | undefined {
  const [usual = ""] = keys;
  for (const key of keys) {
    const helper = Object.hasOwn(credHelpers, key) ? credHelpers[key] : undefined;
    if (helper) return { helper, key: usual };
  }
  return credsStore ? { helper: credsStore, key: usual } : undefined;
}

/**
 * Runs `docker-credential-HELPER VERB`, as docker-credential-helpers define it: `input` on standard input. Undefined where it fails, knows
 * nothing or is not installed; what it prints is kept to nobody but the caller.
 */
export async function askHelper(
  helper: string,
  verb: "get" | "store" | "erase",
  input: string,
  env: Record<string, string | undefined> = process.env,
): Promise<string | undefined> {
  // A name, never a path or a word of a shell.
  if (!/^[\w.-]+$/.test(helper)) return undefined;
  const program = Bun.which(`docker-credential-${helper}`, env.PATH === undefined ? {} : { PATH: env.PATH });
  if (program === null) return undefined;
  const child = Bun.spawn([program, verb], { stdin: Buffer.from(input), stdout: "pipe", stderr: "ignore", env });
  const text = await new Response(child.stdout).text();
  return (await child.exited) === 0 ? text : undefined;
}
