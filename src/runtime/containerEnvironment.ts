export const DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * A process's environment in Docker's order: PATH, HOSTNAME, TERM for a terminal, then what the image and the user set (a later
 * value takes the earlier one's place), HOME last where nobody set it.
 */
export function containerEnvironment(options: {
  env: string[];
  hostname?: string;
  terminal: boolean;
  home: string;
}): string[] {
  const values = new Map<string, string>();
  const put = (entry: string): void => {
    const equals = entry.indexOf("=");
    if (equals > 0) values.set(entry.slice(0, equals), entry.slice(equals + 1));
  };
  put(DEFAULT_PATH);
  if (options.hostname !== undefined) put(`HOSTNAME=${options.hostname}`);
  if (options.terminal) put("TERM=xterm");
  for (const entry of options.env) put(entry);
  if (!values.has("HOME")) values.set("HOME", options.home);
  return [...values].map(([name, value]) => `${name}=${value}`);
}
