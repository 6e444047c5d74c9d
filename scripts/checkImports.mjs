// Keeps imports one-way between the rooms of src/, and FFI inside linux/. Prints each offence as `file:line: …`; exit code 1 if there is one.
import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "./lib/paths.mjs";

/** Highest first: a room imports itself and what stands below it. */
const rooms = [
  "main",
  "cli",
  "engine",
  "solve",
  "plan",
  "dockerfile",
  "runtime",
  "registry",
  "archive",
  "store",
  "image",
  "layer",
  "oci",
  "linux",
];
/** Rooms that see less than what is below them. */
const only = { dockerfile: ["oci"], plan: ["oci", "dockerfile"] };

/**
 * @param {{ path: string, text: string }[]} files paths relative to the repository, all under src/
 * @returns {{ path: string, line: number, message: string }[]}
 */
export function checkImports(files) {
  return files.flatMap(({ path, text }) =>
    importsOf(text).flatMap(({ specifier, line }) => {
      const message = offence(path, specifier);
      return message === undefined ? [] : [{ path, line, message }];
    }),
  );
}

function offence(path, specifier) {
  const from = roomOf(path);
  if (!rooms.includes(from))
    return `${from} is no room of src/: add it to scripts/checkImports.mjs and docs/architecture.md`;
  if (specifier === "bun:ffi") return from === "linux" ? undefined : "only linux/ may import bun:ffi";
  if (!specifier.startsWith(".")) return undefined;
  const target = posix.join(posix.dirname(path), specifier);
  if (target === "package.json") return undefined;
  if (target.startsWith("test/support/") && path.endsWith(".test.ts")) return undefined;
  const to = roomOf(target);
  if (!target.startsWith("src/") || !rooms.includes(to)) return `${specifier} lies outside the rooms of src/`;
  if (from === to) return undefined;
  if (rooms.indexOf(to) < rooms.indexOf(from)) return `${from}/ may not import ${to}/, which stands above it`;
  if (only[from] !== undefined && !only[from].includes(to))
    return `${from}/ may import only ${only[from].join(", ")}, not ${to}/`;
  return undefined;
}

/** `src/oci/digest.ts` → `oci`, `src/main.ts` → `main`. */
function roomOf(path) {
  return path.split("/")[1]?.replace(/\.ts$/, "") ?? "";
}

/** Static, dynamic and type imports, re-exports, and workers by URL; comments do not count. */
function importsOf(text) {
  const code = withoutComments(text);
  const pattern = /(?:\bfrom\s*|\bimport\s*\(\s*|\bimport\s*|\brequire\s*\(\s*|\bnew\s+URL\s*\(\s*)(["'])([^"'\n]+)\1/g;
  return Array.from(code.matchAll(pattern), (match) => ({
    specifier: match[2],
    line: code.slice(0, match.index).split("\n").length,
  }));
}

/** Comments as blanks, so that offsets stay; strings are passed over, since `"//"` in one is no comment. */
function withoutComments(text) {
  const token = /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\[\s\S]|[^`\\])*`|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;
  return text.replace(token, (match) => (match.startsWith("/") ? match.replace(/[^\n]/g, " ") : match));
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const files = readdirSync(join(root, "src"), { recursive: true })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => ({ path: `src/${path}`, text: readFileSync(join(root, "src", path), "utf8") }));
  const offences = checkImports(files);
  for (const { path, line, message } of offences) process.stdout.write(`${path}:${line}: ${message}\n`);
  process.stdout.write(`${files.length} files, ${offences.length} forbidden imports\n`);
  process.exitCode = offences.length === 0 ? 0 : 1;
}
