/** Texts that BuildKit makes with Go's fmt: they are part of an image's history, so they are made the same way here. */

/** `%q` of a list of strings: `["a" "b"]`. */
export function quoteList(words: readonly string[]): string {
  return `[${words.map(quote).join(" ")}]`;
}

/** `%v` of a list of strings: `[a b]`. */
export function plainList(words: readonly string[]): string {
  return `[${words.join(" ")}]`;
}

/** `%q` of a string (strconv.Quote). */
export function quote(text: string): string {
  let out = '"';
  for (const char of text) out += quoteChar(char);
  return `${out}"`;
}

/** time.Duration's String of nanoseconds: `1m30s`, `1.5s`, `100ms`, `0s`. */
export function formatDuration(nanoseconds: number): string {
  const size = Math.abs(nanoseconds);
  const sign = nanoseconds < 0 ? "-" : "";
  if (size === 0) return "0s";
  if (size < 1e3) return `${sign}${size}ns`;
  if (size < 1e6) return `${sign}${fraction(size, 1e3)}µs`;
  if (size < 1e9) return `${sign}${fraction(size, 1e6)}ms`;
  const minutes = Math.floor(size / 60e9);
  const seconds = `${fraction(size - minutes * 60e9, 1e9)}s`;
  if (minutes === 0) return `${sign}${seconds}`;
  const hours = Math.floor(minutes / 60);
  if (hours === 0) return `${sign}${minutes}m${seconds}`;
  return `${sign}${hours}h${minutes % 60}m${seconds}`;
}

function fraction(value: number, unit: number): string {
  const rest = value % unit;
  const whole = String((value - rest) / unit);
  if (rest === 0) return whole;
  const digits = String(rest).padStart(String(unit).length - 1, "0");
  return `${whole}.${digits.replace(/0+$/, "")}`;
}

const escapes: Readonly<Record<string, string>> = {
  "\x07": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  "\\": "\\\\",
  '"': '\\"',
};

function quoteChar(char: string): string {
  const known = escapes[char];
  if (known !== undefined) return known;
  const code = char.codePointAt(0) ?? 0;
  if (code < 0x20 || code === 0x7f) return `\\x${code.toString(16).padStart(2, "0")}`;
  if (char === " " || !/[\p{C}\p{Z}]/u.test(char)) return char;
  return code > 0xffff ? `\\U${code.toString(16).padStart(8, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
}
