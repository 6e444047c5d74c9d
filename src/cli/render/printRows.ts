import { table } from "./table.ts";

/** One line of a list: values by the field names that docker's `--format` knows. */
export type Row = Record<string, string>;

/** A list as docker prints it: the table of `columns` (header, field), `json` a line each, or a Go template, `table` before it with headers. */
export async function printRows(
  out: (text: string) => void,
  rows: readonly Row[],
  columns: readonly [header: string, field: string][],
  format: string | undefined,
): Promise<void> {
  if (format === undefined || format === "table") {
    out(
      table(
        columns.map(([header]) => header),
        rows.map((row) => columns.map(([, field]) => row[field] ?? "")),
      ),
    );
    return;
  }
  if (format === "json" || format === "{{json .}}") {
    for (const row of rows) out(`${goJson(row)}\n`);
    return;
  }
  const { compileTemplate } = await import("./template.ts");
  if (!format.startsWith("table ")) {
    const template = compileTemplate(format);
    for (const row of rows) out(`${template(row)}\n`);
    return;
  }
  // `table {{.Names}}\t{{.Status}}`: the fields' headers over the columns.
  const source = format.slice("table ".length).replaceAll("\\t", "\t");
  const template = compileTemplate(source);
  const headers = Object.fromEntries(
    Object.keys(rows[0] ?? {}).map((field) => [
      field,
      columns.find(([, each]) => each === field)?.[0] ?? spaced(field),
    ]),
  );
  for (const [header, field] of columns) headers[field] ??= header;
  withLabels(headers, undefined);
  out(
    table(
      template(headers).split("\t"),
      rows.map((row) => template(row).split("\t")),
    ),
  );
}

/** As Go writes a map: by its keys' names, and with what would mean something in HTML escaped. */
function goJson(row: Row): string {
  const fields = Object.keys(row).sort();
  return JSON.stringify(row, fields).replace(/[<>&]/g, (char) => `\\u00${char.charCodeAt(0).toString(16)}`);
}

/** Adds docker's `{{.Label "KEY"}}`, which is no field of the row's JSON; undefined: the header, which is the key. */
export function withLabels(row: Row, labels: Readonly<Record<string, string>> | undefined): Row {
  const value = (name: string): string => (labels === undefined ? name : (labels[name] ?? ""));
  return Object.defineProperty(row, "Label", { value, enumerable: false });
}

function spaced(field: string): string {
  return field.replace(/([a-z])([A-Z])/g, "$1 $2").toUpperCase();
}
