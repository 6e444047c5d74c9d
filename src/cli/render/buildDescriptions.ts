import type { ContextEntry, Outline, Target, Violation } from "../../engine/build/describeBuild.ts";
import type { SourceRange } from "../../oci/SlipwayError.ts";
import { excerpt } from "../errorText.ts";
import { humanCount } from "./humanCount.ts";
import { table } from "./table.ts";

const NARROW = { narrowest: 0 };

/** The texts and JSON forms of `build --call`, BuildKit's subrequests. JSON has two blanks of indentation, as buildx prints it. */
export function checkText(violations: readonly Violation[]): string {
  if (violations.length === 0) return "Check complete, no warnings found.\n";
  const head = `Check complete, ${humanCount(violations.length, "warning has", "warnings have")} been found!\n`;
  const parts = violations.map(
    ({ rule, url, detail, range }) =>
      `\nWARNING: ${rule}${url === "" ? "" : ` - ${url}`}\n${detail}\n${excerpt(range)}\n`,
  );
  return head + parts.join("");
}

export function checkJson(violations: readonly Violation[], file: string, source: string): string {
  return json({
    warnings: violations.map(({ rule, description, url, detail, range }) => ({
      ruleName: rule,
      ...(description === "" ? {} : { description }),
      ...(url === "" ? {} : { url }),
      detail,
      location: location(range),
    })),
    sources: [{ fileName: file, language: "Dockerfile", definition: null, data: base64(source) }],
  });
}

export function outlineText(outline: Outline): string {
  const parts: string[] = [];
  if (outline.name !== "" || outline.description !== undefined) {
    const name = outline.name === "" ? "(default)" : outline.name;
    const { description } = outline;
    parts.push(description === undefined ? `TARGET: ${name}\n` : `TARGET:      ${name}\nDESCRIPTION: ${description}\n`);
  }
  if (outline.args.length > 0) {
    const rows = outline.args.map(({ name, value = "", description = "" }) => [name, value, description]);
    parts.push(table(["BUILD ARG", "VALUE", "DESCRIPTION"], rows, NARROW));
  }
  for (const [title, mounts] of [
    ["SECRET", outline.secrets],
    ["SSH", outline.ssh],
  ] as const) {
    if (mounts.length === 0) continue;
    const rows = mounts.map(({ name, required }) => [name, required ? "true" : ""]);
    parts.push(table([title, "REQUIRED"], rows, NARROW));
  }
  return parts.map((part) => `${part}\n`).join("");
}

export function outlineJson({ name, description, args, secrets, ssh }: Outline, source: string): string {
  const mounts = (list: Outline["ssh"]) =>
    list.map((mount) => ({
      name: mount.name,
      ...(mount.required ? { required: true } : {}),
      location: location(mount.range),
    }));
  return json({
    ...(name === "" ? {} : { name }),
    ...(description === undefined ? {} : { description }),
    ...(args.length === 0 ? {} : { args: args.map(({ range, ...arg }) => ({ ...arg, location: location(range) })) }),
    ...(secrets.length === 0 ? {} : { secrets: mounts(secrets) }),
    ...(ssh.length === 0 ? {} : { ssh: mounts(ssh) }),
    sources: [base64(source)],
  });
}

export function targetsText(targets: readonly Target[]): string {
  const rows = targets
    .filter(({ name, default: last }) => name !== "" || last)
    .map(({ name, default: last, description = "" }) => [
      last ? (name === "" ? "(default)" : `${name} (default)`) : name,
      description,
    ]);
  return table(["TARGET", "DESCRIPTION"], rows, NARROW);
}

export function targetsJson(targets: readonly Target[], source: string): string {
  return json({
    targets: targets.map(({ name, default: last, description, base, platform, range }) => ({
      ...(name === "" ? {} : { name }),
      ...(last ? { default: true } : {}),
      ...(description === undefined ? {} : { description }),
      base,
      ...(platform === undefined ? {} : { platform }),
      location: location(range),
    })),
    sources: [base64(source)],
  });
}

/** `keep PATH`, `drop PATH`, then the line that decided. */
export function contextText(entries: readonly ContextEntry[]): string {
  const rows = entries.map(({ path, kept, by }) => [
    kept ? "keep" : "drop",
    path,
    by === undefined ? "" : `${by.file}:${by.line}`,
    by === undefined ? "" : by.pattern,
  ]);
  const kept = entries.filter((entry) => entry.kept && !entry.path.endsWith("/")).length;
  const dropped = entries.filter((entry) => !entry.kept).length;
  return `${table(["", "PATH", "LINE", "PATTERN"], rows, NARROW)}${humanCount(kept, "file", "files")} in the build context, ${humanCount(dropped, "path", "paths")} left out\n`;
}

function location({ start, end }: SourceRange): unknown {
  return { ranges: [{ start: { line: start }, end: { line: end } }] };
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
