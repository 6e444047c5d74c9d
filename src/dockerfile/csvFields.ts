/** The fields of one comma-separated record (RFC 4180): a field in double quotes may hold commas. @throws Error with the reason only */
export function csvFields(record: string): string[] {
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    if (record[at] !== '"') {
      const comma = record.indexOf(",", at);
      const field = record.slice(at, comma < 0 ? undefined : comma);
      if (field.includes('"')) throw new Error('bare " in non-quoted field');
      fields.push(field);
      if (comma < 0) return fields;
      at = comma + 1;
      continue;
    }
    let field = "";
    for (at++; ; at += 2) {
      const quote = record.indexOf('"', at);
      if (quote < 0) throw new Error('extraneous or missing " in quoted field');
      field += record.slice(at, quote);
      at = quote;
      if (record[quote + 1] !== '"') break;
      field += '"';
    }
    fields.push(field);
    at++;
    if (at >= record.length) return fields;
    if (record[at] !== ",") throw new Error('extraneous or missing " in quoted field');
    at++;
  }
}
