/// A thread that compresses the members it is sent, one after the other.
import { compressMember, type MemberRules } from "./compressMember.ts";

declare const self: Worker;

export interface Order {
  buffer: ArrayBuffer;
  length: number;
  rules: MemberRules;
}

/** `buffer` comes back for the next member. */
export type Delivery = { buffer: ArrayBuffer; member: Uint8Array<ArrayBuffer> } | { failed: string };

self.onmessage = ({ data }: MessageEvent<Order>) => {
  const { buffer, length, rules } = data;
  try {
    const made = compressMember(new Uint8Array(buffer, 0, length), rules);
    const member = made.byteLength === made.buffer.byteLength ? made : made.slice();
    self.postMessage({ buffer, member } satisfies Delivery, [buffer, member.buffer]);
  } catch (error) {
    self.postMessage({ failed: String(error) } satisfies Delivery);
  }
};
