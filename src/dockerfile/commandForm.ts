/** The exec form: a JSON array of strings; undefined for anything else, which is then the shell form (as BuildKit reads it). */
export function execForm(text: string): string[] | undefined {
  if (!text.startsWith("[")) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return Array.isArray(value) && value.every((each) => typeof each === "string") ? value : undefined;
}
