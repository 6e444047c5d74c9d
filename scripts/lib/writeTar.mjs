/**
 * A POSIX ustar archive of small entries, owned by root, dated at the epoch, so that equal entries make equal bytes.
 * @param {{ path: string, mode?: number, content?: Uint8Array | string, link?: string, directory?: boolean }[]} entries paths without
 *   leading `/`, up to 99 bytes; `link` makes a symbolic link
 */
export function writeTar(entries) {
  const parts = [];
  for (const { path, mode, content, link, directory } of entries) {
    const data = Buffer.from(content ?? "");
    const header = Buffer.alloc(512);
    const octal = (value, offset, length) =>
      header.write(value.toString(8).padStart(length - 1, "0"), offset, length - 1);
    header.write(directory ? `${path}/` : path, 0, 100);
    octal(mode ?? (directory ? 0o755 : link === undefined ? 0o644 : 0o777), 100, 8);
    octal(0, 108, 8);
    octal(0, 116, 8);
    octal(data.length, 124, 12);
    octal(0, 136, 12);
    header.write(directory ? "5" : link === undefined ? "0" : "2", 156);
    header.write(link ?? "", 157, 100);
    header.write("ustar\0" + "00", 257);
    header.write("        ", 148);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    parts.push(header, data, Buffer.alloc((512 - (data.length % 512)) % 512));
  }
  parts.push(Buffer.alloc(1024));
  return Buffer.concat(parts);
}
