/** A time as Go writes it with nanoseconds: local, with its offset. */
export function rfc3339Nano(milliseconds: number): string {
  const offset = -new Date(milliseconds).getTimezoneOffset();
  const two = (value: number): string => String(Math.trunc(Math.abs(value))).padStart(2, "0");
  const zone = offset === 0 ? "Z" : `${offset < 0 ? "-" : "+"}${two(offset / 60)}:${two(offset % 60)}`;
  return `${new Date(milliseconds + offset * 60_000).toISOString().slice(0, 23)}000000${zone}`;
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
