/** Standard output of a shell script that must succeed, trimmed; git knows nobody's configuration in it. */
export function sh(cwd: string, script: string): string {
  const env = { ...process.env, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" };
  const { exitCode, stdout, stderr } = Bun.spawnSync(["sh", "-ec", script], { cwd, env });
  if (exitCode !== 0) throw new Error(`${script}\n${stderr}`);
  return stdout.toString().trim();
}
