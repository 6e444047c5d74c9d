/// A thread that compresses the members it is sent, one after the other.
import { type CompressMember, memberCompressor, type MemberRules } from "./compressMember.ts";

declare const self: Worker;

/** A member's bytes and room for what it comes to. Both go to and fro: new memory for each member costs more than a copy. */
export interface Order {
  buffer: ArrayBuffer;
  length: number;
  out: ArrayBuffer;
  /** Those of the thread's first order are those of all. */
  rules: MemberRules;
}

/** `out` has the member, `length` bytes of it. */
export type Delivery = { buffer: ArrayBuffer; out: ArrayBuffer; length: number } | { failed: string };

let compress: CompressMember | undefined;

self.onmessage = ({ data }: MessageEvent<Order>) => {
  const { buffer, length, out, rules } = data;
  try {
    compress ??= memberCompressor(rules);
    const made = compress(new Uint8Array(buffer, 0, length), new Uint8Array(out));
    self.postMessage({ buffer, out, length: made } satisfies Delivery, [buffer, out]);
  } catch (error) {
    self.postMessage({ failed: String(error) } satisfies Delivery);
  }
};
