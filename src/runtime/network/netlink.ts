import type { Linux } from "../../linux/Linux.ts";
import { LinuxError } from "../../linux/LinuxError.ts";

/** What a message says beyond its header: netlink(7). */
export interface NetlinkMessage {
  type: number;
  /** `NLM_F_*` beyond REQUEST. */
  flags: number;
  /** The family's own header and the attributes, one after the other. */
  body: Uint8Array[];
}

/** A netlink socket to the kernel. Every call is synchronous: the kernel answers before it returns. */
export interface Netlink {
  /** Does what the message says. @throws LinuxError as the kernel answers; `what` names the call in it. */
  request(message: NetlinkMessage, what: string): void;
  /** Bodies of the answer, without their netlink headers; none where the kernel says that there is no such thing. */
  get(message: NetlinkMessage, what: string): Uint8Array[];
  /** Several in one write, some of which ask for an answer by `NLM_F_ACK`. @throws LinuxError the first failure */
  batch(messages: NetlinkMessage[], what: string): void;
  close(): void;
}

export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;
export const NLM_F_DUMP = 0x300;

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const HEADER_BYTES = 16;
const ANSWER_BYTES = 256 * 1024;
const ENOENT = 2;
const ENODEV = 19;

/** By a socket of `Linux.netlinkSocket`, which `close` closes. */
export function openNetlink(linux: Linux, fd: number): Netlink {
  const answer = new Uint8Array(ANSWER_BYTES);
  let sequence = 0;

  /** Reads until `last` is answered. What an earlier call that failed has left unread has a lower number than `first`. */
  function receive(first: number, last: number, what: string): Uint8Array[] {
    const found: Uint8Array[] = [];
    for (;;) {
      const length = linux.read(fd, answer);
      const view = new DataView(answer.buffer, 0, length);
      for (let at = 0; at + HEADER_BYTES <= length; ) {
        const size = view.getUint32(at, true);
        const type = view.getUint16(at + 4, true);
        const seq = view.getUint32(at + 8, true);
        if (type === NLMSG_ERROR && seq >= first) {
          const errno = -view.getInt32(at + HEADER_BYTES, true);
          if (errno !== 0) throw new LinuxError(what, errno);
        } else if (type !== NLMSG_DONE && seq >= first) found.push(answer.slice(at + HEADER_BYTES, at + size));
        if (seq === last && (type === NLMSG_ERROR || type === NLMSG_DONE)) return found;
        at += (size + 3) & ~3;
      }
    }
  }

  function encode({ type, flags, body }: NetlinkMessage): Uint8Array {
    const size = body.reduce((sum, part) => sum + part.length, HEADER_BYTES);
    const bytes = new Uint8Array((size + 3) & ~3);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, size, true);
    view.setUint16(4, type, true);
    view.setUint16(6, flags | NLM_F_REQUEST, true);
    view.setUint32(8, ++sequence, true);
    let at = HEADER_BYTES;
    for (const part of body) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  return {
    request(message, what) {
      linux.write(fd, encode({ ...message, flags: message.flags | NLM_F_ACK }));
      receive(sequence, sequence, what);
    },
    get(message, what) {
      // Of a single thing the answer comes first and the acknowledgement, which is asked for, last.
      const dump = (message.flags & NLM_F_DUMP) === NLM_F_DUMP;
      linux.write(fd, encode({ ...message, flags: message.flags | (dump ? 0 : NLM_F_ACK) }));
      try {
        return receive(sequence, sequence, what);
      } catch (error) {
        if (error instanceof LinuxError && (error.errno === ENOENT || error.errno === ENODEV)) return [];
        throw error;
      }
    },
    batch(messages, what) {
      const first = sequence + 1;
      const last = first + messages.findLastIndex(({ flags }) => (flags & NLM_F_ACK) !== 0);
      linux.write(fd, concat(messages.map(encode)));
      receive(first, last, what);
    },
    close: () => linux.close(fd),
  };
}

// Attributes ------------------------------------------------------------------------------------------------------------

const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;

/** One attribute, padded to four bytes. */
export function attribute(type: number, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array((4 + value.length + 3) & ~3);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 4 + value.length, true);
  view.setUint16(2, type, true);
  bytes.set(value, 4);
  return bytes;
}

export function nested(type: number, ...attributes: Uint8Array[]): Uint8Array {
  return attribute(type | NLA_F_NESTED, concat(attributes));
}

/** With its NUL. */
export function text(value: string): Uint8Array {
  return Buffer.from(`${value}\0`);
}

/** In this machine's order: both supported architectures have the least first. */
export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

/** In the network's order. */
export function be32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}

/** The attributes that follow a family's header of `skip` bytes, by type. */
export function attributes(body: Uint8Array, skip: number): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  for (let at = skip; at + 4 <= body.length; ) {
    const size = view.getUint16(at, true);
    if (size < 4) break;
    found.set(view.getUint16(at + 2, true) & NLA_TYPE_MASK, body.subarray(at + 4, at + size));
    at += (size + 3) & ~3;
  }
  return found;
}

/** A text attribute's value. */
export function textOf(value: Uint8Array | undefined): string {
  return value === undefined ? "" : Buffer.from(value).toString("latin1").replace(/\0.*$/s, "");
}
