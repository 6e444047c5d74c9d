import { addressBytes, parseAddress } from "./addresses.ts";

/**
 * The host's end of a container's pair has its name by the container's IPv4 address. So the kernel's own list of devices says which addresses
 * are taken, and lets nobody take one twice; when the container's last process ends, its namespace, the pair and the claim on the address go with it,
 * after whatever end.
 */
export function vethName(address: string): string {
  const parsed = parseAddress(address);
  return parsed === undefined ? "" : `sw${Buffer.from(addressBytes(parsed.address, 4)).toString("hex")}`;
}

/** Docker's way of old: the same address has the same hardware address, so neighbours need not unlearn it. */
export function macOf(address: bigint): Uint8Array {
  return Uint8Array.of(0x02, 0x42, ...addressBytes(address, 4));
}

export function formatMac(mac: Uint8Array): string {
  return [...mac].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** Undefined where the text is no hardware address of one device. */
export function parseMac(text: string): Uint8Array | undefined {
  if (!/^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i.test(text)) return undefined;
  const bytes = Uint8Array.from(text.split(/[:-]/), (part) => Number.parseInt(part, 16));
  return ((bytes[0] as number) & 1) === 1 ? undefined : bytes;
}
