const UNITS = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/** Bytes by powers of 1000, as docker prints them: at most `digits` significant digits, `4.42MB`, `0B`. */
export function humanSize(bytes: number, digits = 3): string {
  let value = bytes;
  let unit = 0;
  // As it is printed: 999.9 would be 1000.
  while (Number(value.toPrecision(digits)) >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${Number(value.toPrecision(digits))}${UNITS[unit]}`;
}

/** Powers of 1024 with four digits, as `stats` shows memory: `1.5MiB`. */
export function binarySize(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${Number(value.toPrecision(4))}${units[unit]}`;
}
