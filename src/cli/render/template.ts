import { quote } from "../../plan/goFormat.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { type Command, type Operand, type Pipe, parseTemplate, type TemplateNode } from "./parseTemplate.ts";

export type Template = (data: unknown) => string;

/**
 * Compiles a Go template, as `--format` takes it: fields, variables, pipelines, if/with/range/else, and docker's functions (json,
 * join, split, upper, lower, title, pad, truncate, println, print, printf, index, slice, len, eq, ne, lt, le, gt, ge, and, or, not).
 * @throws SlipwayError `INVALID_TEMPLATE`; the template itself throws `TEMPLATE_FAILED` for a field that is not there
 */
export function compileTemplate(source: string): Template {
  // Docker lets a shell pass tabs and line ends as \t and \n.
  const nodes = parseTemplate(source.replaceAll("\\t", "\t").replaceAll("\\n", "\n"));
  return (data) => execute(nodes, data, new Map([["$", data]]));
}

type Variables = Map<string, unknown>;

function execute(nodes: readonly TemplateNode[], dot: unknown, variables: Variables): string {
  let out = "";
  for (const node of nodes) {
    switch (node.kind) {
      case "text":
        out += node.text;
        break;
      case "print":
        out += show(pipe(node.pipe, dot, variables));
        break;
      case "assign":
        variables.set(node.name, pipe(node.pipe, dot, variables));
        break;
      case "if":
        out += execute(truth(pipe(node.pipe, dot, variables)) ? node.body : node.otherwise, dot, new Map(variables));
        break;
      case "with": {
        const value = pipe(node.pipe, dot, variables);
        const inner = new Map(variables);
        if (node.value !== undefined) inner.set(node.value, value);
        out += truth(value) ? execute(node.body, value, inner) : execute(node.otherwise, dot, inner);
        break;
      }
      case "range": {
        const entries = entriesOf(pipe(node.pipe, dot, variables));
        if (entries.length === 0) out += execute(node.otherwise, dot, variables);
        for (const [key, value] of entries) {
          const inner = new Map(variables);
          if (node.index !== undefined) inner.set(node.index, key);
          if (node.value !== undefined) inner.set(node.value, value);
          out += execute(node.body, value, inner);
        }
      }
    }
  }
  return out;
}

function pipe(commands: Pipe, dot: unknown, variables: Variables): unknown {
  let value: unknown;
  for (const [i, command] of commands.entries()) value = call(command, dot, variables, i === 0 ? [] : [value]);
  return value;
}

function call(command: Command, dot: unknown, variables: Variables, piped: unknown[]): unknown {
  const [first, ...rest] = command;
  if (first?.kind === "function") {
    const known = functions[first.name];
    if (known === undefined) throw failed(`function ${JSON.stringify(first.name)} not defined`);
    return known(...rest.map((each) => operand(each, dot, variables)), ...piped);
  }
  if (first?.kind === "field" && rest.length + piped.length > 0) {
    const start = first.variable === undefined ? dot : variables.get(first.variable);
    const owner = walk(start, first.path.slice(0, -1)) as Record<string, unknown>;
    const method = owner?.[first.path.at(-1) as string];
    if (typeof method === "function") return method(...rest.map((each) => operand(each, dot, variables)), ...piped);
  }
  if (first === undefined || rest.length > 0 || piped.length > 0) throw failed("a value is not a function");
  return operand(first, dot, variables);
}

function operand(each: Operand, dot: unknown, variables: Variables): unknown {
  switch (each.kind) {
    case "literal":
      return each.value;
    case "function":
      return call([each], dot, variables, []);
    case "pipe":
      return walk(pipe(each.pipe, dot, variables), each.path);
    case "field": {
      if (each.variable === undefined) return walk(dot, each.path);
      if (!variables.has(each.variable)) throw failed(`undefined variable ${JSON.stringify(each.variable)}`);
      return walk(variables.get(each.variable), each.path);
    }
  }
}

function walk(start: unknown, path: readonly string[]): unknown {
  let value = start;
  for (const name of path) {
    if (value === null || value === undefined) throw failed(`nil pointer evaluating .${name}`);
    if (typeof value !== "object" || Array.isArray(value)) throw failed(`can't evaluate field ${name}`);
    if (!(name in value)) {
      // A map has no value there, an object of ours has no such field: a misspelt field must not pass in silence.
      if (isMap(value)) return undefined;
      throw failed(`can't evaluate field ${name}`, Object.keys(value));
    }
    value = (value as Record<string, unknown>)[name];
    if (typeof value === "function") value = (value as () => unknown)();
  }
  return value;
}

/** Keys that are no Go field names are a map's (labels, environment). */
function isMap(value: object): boolean {
  const keys = Object.keys(value);
  return keys.length === 0 || keys.some((key) => !/^[A-Z]/.test(key));
}

function failed(why: string, fields?: string[]): SlipwayError {
  return new SlipwayError(
    "TEMPLATE_FAILED",
    `template: ${why}`,
    fields === undefined ? {} : { hint: `Fields: ${fields.join(", ")}` },
  );
}

/** Go's idea of truth: the zero value of each type, and what is empty, is false. */
function truth(value: unknown): boolean {
  if (Array.isArray(value) || typeof value === "string") return value.length > 0;
  if (value !== null && typeof value === "object") return Object.keys(value).length > 0;
  return Boolean(value);
}

function entriesOf(value: unknown): [unknown, unknown][] {
  if (Array.isArray(value)) return value.map((each, i) => [i, each]);
  if (value !== null && typeof value === "object") {
    return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  }
  if (typeof value === "number") return Array.from({ length: value }, (_, i) => [i, i]);
  return [];
}

/** As Go's fmt prints with %v. */
export function show(value: unknown): string {
  if (value === undefined || value === null) return "<no value>";
  if (Array.isArray(value)) return `[${value.map(show).join(" ")}]`;
  if (typeof value === "object")
    return `map[${entriesOf(value)
      .map(([key, each]) => `${key}:${show(each)}`)
      .join(" ")}]`;
  return String(value);
}

function compare(a: unknown, b: unknown): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  const [x, y] = [String(a), String(b)];
  return x < y ? -1 : x > y ? 1 : 0;
}

/** What Go's encoder escapes in strings, docker leaves alone: it switches HTML escaping off. */
const json = (value: unknown): string => JSON.stringify(value ?? null);

// biome-ignore lint/suspicious/noExplicitAny: templates are not typed; each function takes what it gets
const functions: Record<string, (...args: any[]) => unknown> = {
  json,
  join: (list: unknown[], separator: string) => (list ?? []).map(show).join(separator),
  split: (text: string, separator: string) => String(text).split(separator),
  upper: (text: string) => String(text).toUpperCase(),
  lower: (text: string) => String(text).toLowerCase(),
  title: (text: string) => String(text).replace(/(^|\s)\S/g, (letter) => letter.toUpperCase()),
  pad: (text: string, before: number, after: number) =>
    text === "" ? "" : " ".repeat(before) + text + " ".repeat(after),
  truncate: (text: string, length: number) => String(text).slice(0, length),
  println: (...values: unknown[]) => `${values.map(show).join(" ")}\n`,
  print: (...values: unknown[]) => values.map(show).join(""),
  printf: (format: string, ...values: unknown[]) => printf(format, values),
  index: (value: unknown, ...keys: unknown[]) => keys.reduce(element, value),
  slice: (value: string | unknown[], from = 0, to?: number) => value.slice(from, to),
  len: (value: unknown) =>
    typeof value === "string" || Array.isArray(value) ? value.length : Object.keys(value ?? {}).length,
  eq: (a: unknown, ...others: unknown[]) => others.some((each) => each === a),
  ne: (a: unknown, b: unknown) => a !== b,
  lt: (a: unknown, b: unknown) => compare(a, b) < 0,
  le: (a: unknown, b: unknown) => compare(a, b) <= 0,
  gt: (a: unknown, b: unknown) => compare(a, b) > 0,
  ge: (a: unknown, b: unknown) => compare(a, b) >= 0,
  and: (...values: unknown[]) => values.find((each) => !truth(each)) ?? values[values.length - 1],
  or: (...values: unknown[]) => values.find(truth) ?? values[values.length - 1],
  not: (value: unknown) => !truth(value),
};

function element(value: unknown, key: unknown): unknown {
  if (Array.isArray(value) || typeof value === "string") {
    if (typeof key !== "number" || key < 0 || key >= value.length) throw failed(`index out of range: ${show(key)}`);
    return value[key];
  }
  return (value as Record<string, unknown> | undefined)?.[String(key)] ?? "";
}

function printf(format: string, values: unknown[]): string {
  let next = 0;
  return format.replace(
    /%(-?)(0?)(\d*)(?:\.(\d+))?([a-zA-Z%])/g,
    (_, left: string, zero: string, width: string, digits: string | undefined, verb: string) => {
      if (verb === "%") return "%";
      const value = values[next++];
      let text = show(value);
      if (verb === "q") text = quote(text);
      else if (verb === "x") text = typeof value === "number" ? value.toString(16) : Buffer.from(text).toString("hex");
      else if (verb === "f") text = Number(value).toFixed(digits === undefined ? 6 : Number(digits));
      else if (verb === "s" && digits !== undefined) text = text.slice(0, Number(digits));
      const size = Number(width || 0);
      if (left !== "") return text.padEnd(size);
      return text.padStart(size, zero === "" ? " " : "0");
    },
  );
}
