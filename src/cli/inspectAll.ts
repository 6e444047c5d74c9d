import { type Call, text } from "./Command.ts";
import { errorText } from "./errorText.ts";

/** `inspect`: one JSON array of all that was found, or a template for each; what was not found is said, and the exit status is 1. */
export async function inspectAll(call: Call, look: (name: string) => unknown): Promise<number> {
  const found: unknown[] = [];
  const failures: unknown[] = [];
  for (const name of call.positionals) {
    try {
      found.push(look(name));
    } catch (error) {
      failures.push(error);
    }
  }
  const format = text(call, "format");
  if (format === undefined || format === "json") {
    call.out(`${JSON.stringify(found, undefined, format === undefined ? 4 : undefined)}\n`);
  } else {
    const { compileTemplate } = await import("./render/template.ts");
    const template = compileTemplate(format);
    for (const each of found) call.out(`${template(each)}\n`);
  }
  for (const error of failures) call.err(errorText(error, { debug: false }));
  return failures.length > 0 ? 1 : 0;
}
