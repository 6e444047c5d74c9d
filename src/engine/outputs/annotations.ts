import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { Annotations } from "./OutputSpec.ts";

const levels: Record<string, keyof Annotations> = {
  manifest: "manifest",
  "manifest-descriptor": "manifestDescriptor",
  index: "index",
  "index-descriptor": "indexDescriptor",
};

export function noAnnotations(): Annotations {
  return { manifest: {}, manifestDescriptor: {}, index: {}, indexDescriptor: {} };
}

/**
 * `--annotation [LEVEL[,LEVEL…][PLATFORM]:]KEY=VALUE`; the level is the manifest where none is said. What stands before a colon is a level only
 * where it is one: keys may have colons. @throws SlipwayError `INVALID_ANNOTATION`
 */
export function parseAnnotations(texts: readonly string[]): Annotations {
  const all = noAnnotations();
  for (const text of texts) {
    const fail = (why: string): never => {
      throw new SlipwayError("INVALID_ANNOTATION", `--annotation ${text}: ${why}`, {
        hint: "For example --annotation manifest:org.opencontainers.image.title=hello",
      });
    };
    const equals = text.indexOf("=");
    if (equals <= 0) fail("it must say KEY=VALUE");
    const value = text.slice(equals + 1);
    const said = /^([a-z-]+(?:\[[^\]]*\])?(?:,[a-z-]+(?:\[[^\]]*\])?)*):(.+)$/.exec(text.slice(0, equals));
    const prefixes = said?.[1]?.split(",") ?? [];
    if (said === null || !prefixes.every((prefix) => levels[prefix.replace(/\[.*/, "")] !== undefined)) {
      all.manifest[text.slice(0, equals)] = value;
      continue;
    }
    for (const prefix of prefixes) {
      if (prefix.includes("[")) fail("a platform in brackets comes with builds of several platforms");
      all[levels[prefix] as keyof Annotations][said[2] as string] = value;
    }
  }
  return all;
}

/** `annotation.KEY`, `annotation-index.KEY` …: `rest` is what follows `annotation`. */
export function addAnnotation(all: Annotations, rest: string, value: string, fail: (why: string) => never): void {
  const found = /^(?:-([a-z-]+))?(\[[^\]]*\])?\.(.+)$/.exec(rest);
  const level = levels[found?.[1] ?? "manifest"];
  if (found === null || level === undefined) throw fail(`annotation${rest} is not of the form annotation-LEVEL.KEY`);
  if (found[2] !== undefined) fail("a platform in brackets comes with builds of several platforms");
  all[level][found[3] as string] = value;
}
