export interface Challenge {
  /** Lower-cased: `bearer`, `basic`. */
  scheme: string;
  parameters: Record<string, string>;
}

/** WWW-Authenticate (RFC 9110, 11.6.1): any number of challenges, parameters quoted or not, commas inside of quotes. */
export function parseChallenges(header: string): Challenge[] {
  const found: Challenge[] = [];
  const pattern = /\s*(?:,\s*)*([!#$%&'*+\-.^_`|~\w]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]*))|(?=\s|,|$))/y;
  let match = pattern.exec(header);
  while (match !== null) {
    const [, name = "", quoted, plain] = match;
    if (quoted === undefined && plain === undefined) found.push({ scheme: name.toLowerCase(), parameters: {} });
    else {
      const challenge = found.at(-1);
      if (challenge !== undefined)
        challenge.parameters[name.toLowerCase()] =
          quoted === undefined ? (plain ?? "") : quoted.replace(/\\(.)/g, "$1");
    }
    match = pattern.exec(header);
  }
  return found;
}
