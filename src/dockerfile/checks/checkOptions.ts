import { SlipwayError } from "../../oci/SlipwayError.ts";
import { parseBool } from "../parseBool.ts";
import { trimSpace } from "../space.ts";

/** What a `check` directive, or the build argument BUILDKIT_DOCKERFILE_CHECK, says. */
export interface CheckOptions {
  skip: "all" | ReadonlySet<string>;
  /** Experimental rules that are on. */
  experimental: "all" | ReadonlySet<string>;
  /** A violation makes the build fail. */
  error: boolean;
}

/** Reads `skip=A,B;error=true;experimental=C`. @throws SlipwayError `INVALID_CHECK_OPTION` */
export function parseCheckOptions(text: string): CheckOptions {
  const options: CheckOptions = { skip: new Set(), experimental: new Set(), error: false };
  if (trimSpace(text) === "") return options;
  for (const part of text.split(";")) {
    const equals = part.indexOf("=");
    const key = trimSpace(equals < 0 ? part : part.slice(0, equals));
    const value = trimSpace(part.slice(equals + 1));
    if (equals < 0 || (key !== "skip" && key !== "experimental" && key !== "error"))
      throw invalid(`invalid check option ${JSON.stringify(key)}`);
    if (key === "error") {
      const error = parseBool(value);
      if (error === undefined) throw invalid(`failed to parse check option ${JSON.stringify(part)}`);
      options.error = error;
    } else options[key] = value === "all" ? "all" : new Set(value.split(",").map(trimSpace));
  }
  return options;
}

/** The file's options with those of a `# check=…` comment directly above an instruction, which hold for it alone. */
export function withComments(options: CheckOptions, comments: readonly string[]): CheckOptions {
  let merged = options;
  for (const comment of comments) {
    const text = checkComment(comment);
    if (text === undefined) continue;
    const own = parseCheckOptions(text);
    merged = {
      ...merged,
      skip: union(merged.skip, own.skip),
      experimental: union(merged.experimental, own.experimental),
    };
  }
  return merged;
}

/** The options in a comment of the form `check=options // reason`. */
export function checkComment(comment: string): string | undefined {
  return /^check\s*=\s*(\S+)/i.exec(comment)?.[1];
}

function union(a: CheckOptions["skip"], b: CheckOptions["skip"]): CheckOptions["skip"] {
  return a === "all" || b === "all" ? "all" : new Set([...a, ...b]);
}

function invalid(message: string): SlipwayError {
  return new SlipwayError("INVALID_CHECK_OPTION", message, {
    hint: "It is written like # check=skip=RuleA,RuleB;error=true",
  });
}
