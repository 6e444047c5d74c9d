/** An IPv4 or IPv6 network: all of `address` counts, so the bits beyond the prefix say which host in it is meant, if any. */
export interface Subnet {
  /** 4 or 16 bytes as one number. */
  address: bigint;
  family: 4 | 6;
  prefix: number;
}

/** Undefined where the text is no address. */
export function parseAddress(text: string): { address: bigint; family: 4 | 6 } | undefined {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) {
    const parts = text.split(".").map(Number);
    if (parts.some((part) => part > 255)) return undefined;
    return { address: parts.reduce((sum, part) => (sum << 8n) | BigInt(part), 0n), family: 4 };
  }
  if (!/^[0-9a-fA-F:.]+$/.test(text) || !text.includes(":")) return undefined;
  let six = text;
  const dotted = /^(.*:)(\d{1,3}(?:\.\d{1,3}){3})$/.exec(text);
  if (dotted !== null) {
    const four = parseAddress(dotted[2] as string);
    if (four === undefined) return undefined;
    six = `${dotted[1]}${(four.address >> 16n).toString(16)}:${(four.address & 0xffffn).toString(16)}`;
  }
  const halves = six.split("::");
  if (halves.length > 2) return undefined;
  const [head = [], tail = []] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...new Array<string>(missing).fill("0"), ...tail];
  if (groups.some((group) => !/^[0-9a-fA-F]{1,4}$/.test(group))) return undefined;
  return { address: groups.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n), family: 6 };
}

/** `10.0.0.1/24`; undefined where it is none. */
export function parseSubnet(text: string): Subnet | undefined {
  const [host = "", bits = "", ...rest] = text.split("/");
  const parsed = parseAddress(host);
  if (parsed === undefined || rest.length > 0 || !/^\d{1,3}$/.test(bits)) return undefined;
  const prefix = Number(bits);
  return prefix > width(parsed.family) ? undefined : { ...parsed, prefix };
}

/** The first address of the network that `subnet` lies in: its own number. */
export function networkOf({ address, family, prefix }: Subnet): bigint {
  const hostBits = BigInt(width(family) - prefix);
  return (address >> hostBits) << hostBits;
}

/** The last one; IPv4 broadcasts to it. */
export function lastOf(subnet: Subnet): bigint {
  return networkOf(subnet) + (1n << BigInt(width(subnet.family) - subnet.prefix)) - 1n;
}

export function contains(subnet: Subnet, { address, family }: { address: bigint; family: 4 | 6 }): boolean {
  return family === subnet.family && address >= networkOf(subnet) && address <= lastOf(subnet);
}

export function overlap(a: Subnet, b: Subnet): boolean {
  return a.family === b.family && networkOf(a) <= lastOf(b) && networkOf(b) <= lastOf(a);
}

export function width(family: 4 | 6): 32 | 128 {
  return family === 4 ? 32 : 128;
}

export function formatSubnet(subnet: Subnet): string {
  return `${formatAddress(networkOf(subnet), subnet.family)}/${subnet.prefix}`;
}

/** IPv6 by RFC 5952: lower case, the longest run of zero groups as `::`. */
export function formatAddress(address: bigint, family: 4 | 6): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (address >> shift) & 255n).join(".");
  const groups = Array.from({ length: 8 }, (_, at) => (address >> BigInt(112 - 16 * at)) & 0xffffn);
  let best = { at: 0, length: 1 };
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (at + length < 8 && groups[at + length] === 0n) length++;
    if (length > best.length) best = { at, length };
  }
  const hex = groups.map((group) => group.toString(16));
  if (best.length === 1) return hex.join(":");
  return `${hex.slice(0, best.at).join(":")}::${hex.slice(best.at + best.length).join(":")}`;
}

/** In the network's order. */
export function addressBytes(address: bigint, family: 4 | 6): Uint8Array {
  const length = width(family) / 8;
  return Uint8Array.from({ length }, (_, at) => Number((address >> BigInt(8 * (length - 1 - at))) & 255n));
}

export function addressOf(bytes: Uint8Array): { address: bigint; family: 4 | 6 } {
  return { address: BigInt(`0x${Buffer.from(bytes).toString("hex")}`), family: bytes.length === 4 ? 4 : 6 };
}
