/** `1 file`, `2 files`. */
export function humanCount(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}
