/** Nanoseconds since the epoch as Go writes them: local time with its offset, nine digits. */
export function rfc3339Nano(nanoseconds: number): string {
  const milliseconds = Math.floor(nanoseconds / 1e6);
  const time = new Date(milliseconds);
  const offset = -time.getTimezoneOffset();
  const two = (value: number): string => String(Math.trunc(Math.abs(value))).padStart(2, "0");
  const zone = offset === 0 ? "Z" : `${offset < 0 ? "-" : "+"}${two(offset / 60)}:${two(offset % 60)}`;
  const local = new Date(milliseconds + offset * 60_000).toISOString().slice(0, 19);
  const fraction = String(Math.round(nanoseconds - Math.floor(nanoseconds / 1e9) * 1e9)).padStart(9, "0");
  return `${local}.${fraction.slice(0, 9)}${zone}`;
}

/** Docker's `CreatedAt` of lists: `2026-01-02 15:04:05 +0000 UTC`. */
export function goTime(milliseconds: number): string {
  const time = new Date(milliseconds);
  const offset = -time.getTimezoneOffset();
  const two = (value: number): string => String(Math.trunc(Math.abs(value))).padStart(2, "0");
  const zone = `${offset < 0 ? "-" : "+"}${two(offset / 60)}${two(offset % 60)}`;
  const local = new Date(milliseconds + offset * 60_000).toISOString();
  const name =
    offset === 0
      ? "UTC"
      : (Intl.DateTimeFormat("en", { timeZoneName: "short" })
          .formatToParts(time)
          .find((part) => part.type === "timeZoneName")?.value ?? zone);
  return `${local.slice(0, 10)} ${local.slice(11, 19)} ${zone} ${name}`;
}
