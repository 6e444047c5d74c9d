/// A thread that compresses the members it is sent, one after the other.
import { compressMember, type MemberRules } from "./compressMember.ts";

declare const self: Worker;

/** A member's bytes and room for what it comes to. Both go to and fro: new memory for each member costs more than a copy. */
export interface Order {
  buffer: ArrayBuffer;
  length: number;
  out: ArrayBuffer;
  rules: MemberRules;
}

/** `out` has the member, `length` bytes of it. */
export type Delivery = { buffer: ArrayBuffer; out: ArrayBuffer; length: number } | { failed: string };

self.onmessage = ({ data }: MessageEvent<Order>) => {
  const { buffer, length, out, rules } = data;
  try {
    const made = compressMember(new Uint8Array(buffer, 0, length), rules, new Uint8Array(out));
    self.postMessage({ buffer, out, length: made } satisfies Delivery, [buffer, out]);
  } catch (error) {
    self.postMessage({ failed: String(error) } satisfies Delivery);
  }
};
