import { NETLINK_NETFILTER } from "../../linux/constants.ts";
import type { Linux } from "../../linux/Linux.ts";
import {
  attribute,
  attributes,
  be32,
  nested,
  type NetlinkMessage,
  NLM_F_ACK,
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_DUMP,
  openNetlink,
  text,
  textOf,
} from "./netlink.ts";
import { netlinkIn } from "./namespaces.ts";

/** A part of a rule, ready to be sent: see the functions below. */
export type Expression = Uint8Array;

export interface Chain {
  name: string;
  type: "nat" | "filter";
  hook: "prerouting" | "input" | "forward" | "output" | "postrouting";
  priority: number;
  /** In order; each a list of expressions. What no rule decides on is accepted. */
  rules: Expression[][];
}

/** A chain of somebody else. */
export interface ChainName {
  family: "ip" | "ip6";
  table: string;
  chain: string;
}

/** Tables of nf_tables: our own for IPv4 and IPv6 (family inet), as one whole, and what others have. */
export interface Nftables {
  /** What `replaceTable` wrote beside the table that is there now. */
  tableNote(name: string): string | undefined;
  /** Puts the table in the place of the one of that name: all at once or, with an error, not at all. `note`: 200 bytes at most. */
  replaceTable(name: string, chains: Chain[], note: string): void;
  /** Nothing happens where it is not there. */
  removeTable(name: string): void;
  /** What becomes of a packet that no rule of the chain decides on; undefined where there is no such chain, or it is no hook's. */
  policy(family: ChainName["family"], table: string, chain: string): "accept" | "drop" | undefined;
  hasChain(chain: ChainName): boolean;
  /** Rules with a comment, as `nft` shows it. */
  commentedRules(chain: ChainName): { comment: string; handle: bigint }[];
  /** At once; what is added comes before all that is there. */
  changeRules(
    chain: ChainName,
    changes: { add: { comment: string; rule: Expression[] }[]; remove: { handle: bigint }[] },
  ): void;
  close(): void;
}

const NFNL_SUBSYS_NFTABLES = 10;
const [NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END] = [0x10, 0x11];
const MESSAGE = { NEWTABLE: 0, GETTABLE: 1, DELTABLE: 2, NEWCHAIN: 3, GETCHAIN: 4, NEWRULE: 6, GETRULE: 7, DELRULE: 8 };
const NFPROTO_INET = 1;
const HOOKS = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 };
const HEADER_BYTES = 4;
const [TABLE_NAME, TABLE_USERDATA] = [1, 6];
const [CHAIN_TABLE, CHAIN_NAME, CHAIN_HOOK, CHAIN_POLICY, CHAIN_TYPE] = [1, 3, 4, 5, 7];
const [HOOK_NUMBER, HOOK_PRIORITY] = [1, 2];
const [RULE_TABLE, RULE_CHAIN, RULE_HANDLE, RULE_EXPRESSIONS, RULE_USERDATA] = [1, 2, 3, 4, 7];
const COMMENT = 0; // of what nft keeps beside a rule: type, length, text with its NUL
const [LIST_ELEMENT, EXPRESSION_NAME, EXPRESSION_DATA] = [1, 1, 2];

export function openNftables(linux: Linux, namespace?: number): Nftables {
  const netlink = openNetlink(linux, netlinkIn(linux, namespace, NETLINK_NETFILTER));
  const transaction = (messages: NetlinkMessage[]): void =>
    netlink.batch(
      [
        { type: NFNL_MSG_BATCH_BEGIN, flags: 0, body: [header(0, NFNL_SUBSYS_NFTABLES)] },
        ...messages,
        { type: NFNL_MSG_BATCH_END, flags: 0, body: [header(0, NFNL_SUBSYS_NFTABLES)] },
      ],
      "change nf_tables",
    );
  // Made first where it is not there: what is not there cannot be deleted.
  const remove = (name: string): NetlinkMessage[] => [
    message(MESSAGE.NEWTABLE, NLM_F_CREATE, [attribute(TABLE_NAME, text(name))]),
    message(MESSAGE.DELTABLE, NLM_F_ACK, [attribute(TABLE_NAME, text(name))]),
  ];
  return {
    tableNote(name) {
      const [found] = netlink.get(message(MESSAGE.GETTABLE, 0, [attribute(TABLE_NAME, text(name))]), "get table");
      const note = found === undefined ? undefined : attributes(found, HEADER_BYTES).get(TABLE_USERDATA);
      return note === undefined ? undefined : Buffer.from(note).toString();
    },
    replaceTable(name, chains, note) {
      const table = [attribute(TABLE_NAME, text(name)), attribute(TABLE_USERDATA, Buffer.from(note))];
      transaction([
        ...remove(name),
        message(MESSAGE.NEWTABLE, NLM_F_CREATE | NLM_F_ACK, table),
        ...chains.map((chain) => newChain(name, chain)),
        ...chains.flatMap((chain) => chain.rules.map((rule) => newRule(name, chain.name, rule))),
      ]);
    },
    removeTable: (name) => transaction(remove(name)),
    policy(family, table, chain) {
      const found = getChain({ family, table, chain });
      const value = found?.get(CHAIN_POLICY);
      if (value === undefined) return undefined;
      return value[3] === NF_DROP ? "drop" : "accept";
    },
    hasChain: (chain) => getChain(chain) !== undefined,
    commentedRules: (chain) =>
      netlink
        .get(of(chain, MESSAGE.GETRULE, NLM_F_DUMP, ruleOf(chain)), "list rules")
        .map((rule) => attributes(rule, HEADER_BYTES))
        // Kernels before 5.2 give those of all chains.
        .filter((rule) => textOf(rule.get(RULE_TABLE)) === chain.table && textOf(rule.get(RULE_CHAIN)) === chain.chain)
        .flatMap((rule) => {
          const data = rule.get(RULE_USERDATA);
          const handle = rule.get(RULE_HANDLE);
          if (data === undefined || handle === undefined || data[0] !== COMMENT) return [];
          return [{ comment: textOf(data.subarray(2, 2 + (data[1] as number))), handle: readU64(handle) }];
        }),
    changeRules(chain, { add, remove: handles }) {
      if (add.length + handles.length === 0) return;
      transaction([
        ...handles.map(({ handle }) =>
          of(chain, MESSAGE.DELRULE, NLM_F_ACK, [...ruleOf(chain), attribute(RULE_HANDLE, be64(handle))]),
        ),
        ...add.map(({ comment, rule }) => {
          const said = text(comment);
          return of(chain, MESSAGE.NEWRULE, NLM_F_CREATE | NLM_F_ACK, [
            ...ruleOf(chain),
            nested(RULE_EXPRESSIONS, ...rule),
            attribute(RULE_USERDATA, Uint8Array.of(COMMENT, said.length, ...said)),
          ]);
        }),
      ]);
    },
    close: netlink.close,
  };

  function getChain(chain: ChainName): Map<number, Uint8Array> | undefined {
    const names = [attribute(CHAIN_TABLE, text(chain.table)), attribute(CHAIN_NAME, text(chain.chain))];
    const [found] = netlink.get(of(chain, MESSAGE.GETCHAIN, 0, names), "get chain");
    return found === undefined ? undefined : attributes(found, HEADER_BYTES);
  }
}

function of({ family }: ChainName, type: number, flags: number, body: Uint8Array[]): NetlinkMessage {
  return { ...message(type, flags, []), body: [header(NFPROTO[family === "ip" ? 4 : 6]), ...body] };
}

function ruleOf({ table, chain }: ChainName): Uint8Array[] {
  return [attribute(RULE_TABLE, text(table)), attribute(RULE_CHAIN, text(chain))];
}

function be64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return bytes;
}

function readU64(value: Uint8Array): bigint {
  return new DataView(value.buffer, value.byteOffset).getBigUint64(0);
}

function header(family: number, resource = 0): Uint8Array {
  return Uint8Array.of(family, 0, resource >> 8, resource & 255);
}

function message(type: number, flags: number, body: Uint8Array[]): NetlinkMessage {
  return { type: (NFNL_SUBSYS_NFTABLES << 8) | type, flags, body: [header(NFPROTO_INET), ...body] };
}

function newChain(table: string, chain: Chain): NetlinkMessage {
  return message(MESSAGE.NEWCHAIN, NLM_F_CREATE | NLM_F_ACK, [
    attribute(CHAIN_TABLE, text(table)),
    attribute(CHAIN_NAME, text(chain.name)),
    nested(CHAIN_HOOK, attribute(HOOK_NUMBER, be32(HOOKS[chain.hook])), attribute(HOOK_PRIORITY, be32(chain.priority))),
    attribute(CHAIN_POLICY, be32(NF_ACCEPT)),
    attribute(CHAIN_TYPE, text(chain.type)),
  ]);
}

function newRule(table: string, chain: string, expressions: Expression[]): NetlinkMessage {
  return message(MESSAGE.NEWRULE, NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK, [
    attribute(RULE_TABLE, text(table)),
    attribute(RULE_CHAIN, text(chain)),
    nested(RULE_EXPRESSIONS, ...expressions),
  ]);
}

// Expressions -----------------------------------------------------------------------------------------------------------

const [NF_DROP, NF_ACCEPT] = [0, 1];
const [VERDICT_REGISTER, REGISTER_1, REGISTER_2] = [0, 1, 2];
const META = { iifname: 6, oifname: 7, nfproto: 15, l4proto: 16 };
const COMPARE = { eq: 0, ne: 1, gte: 5, lte: 3 };
const [NETWORK_HEADER, TRANSPORT_HEADER] = [1, 2];
const [DATA_VALUE, DATA_VERDICT, VERDICT_CODE] = [1, 2, 1];
const IPPROTO = { tcp: 6, udp: 17, sctp: 132 };
const NFPROTO = { 4: 2, 6: 10 };
const IFNAMSIZ = 16;

export const accept: Expression[] = [verdict(NF_ACCEPT)];
export const drop: Expression[] = [verdict(NF_DROP)];
export const masquerade: Expression[] = [expression("masq")];

/** The packet comes in by (`iifname`) or leaves by (`oifname`) that device. */
export function device(which: "iifname" | "oifname", name: string, operator: "eq" | "ne" = "eq"): Expression[] {
  const padded = new Uint8Array(IFNAMSIZ);
  padded.set(Buffer.from(name));
  return [load(META[which]), compare(padded, operator)];
}

/** Its source or destination lies in the network; `mask` of all ones: is the address. */
export function inNetwork(
  which: "source" | "destination",
  family: 4 | 6,
  address: Uint8Array,
  mask: Uint8Array,
): Expression[] {
  const offset = { 4: { source: 12, destination: 16 }, 6: { source: 8, destination: 24 } }[family][which];
  return [
    ...ofFamily(family),
    payload(NETWORK_HEADER, offset, address.length),
    bitwise(mask),
    compare(address.map((byte, at) => byte & (mask[at] as number))),
  ];
}

export function ofFamily(family: 4 | 6): Expression[] {
  return [load(META.nfproto), compare(Uint8Array.of(NFPROTO[family]))];
}

export function toPorts(protocol: "tcp" | "udp" | "sctp", first: number, last: number): Expression[] {
  const port = payload(TRANSPORT_HEADER, 2, 2);
  return [
    load(META.l4proto),
    compare(Uint8Array.of(IPPROTO[protocol])),
    ...(first === last
      ? [port, compare(be16(first))]
      : [port, compare(be16(first), "gte"), compare(be16(last), "lte")]),
  ];
}

/** The destination is an address of this machine. */
export function toLocalAddress(): Expression[] {
  const [DREG, RESULT, FLAGS] = [1, 2, 3];
  const [ADDRTYPE, DADDR, RTN_LOCAL] = [3, 2, 2];
  return [
    expression(
      "fib",
      attribute(DREG, be32(REGISTER_1)),
      attribute(RESULT, be32(ADDRTYPE)),
      attribute(FLAGS, be32(DADDR)),
    ),
    compare(nativeU32(RTN_LOCAL)),
  ];
}

/** The destination is not `::1`. */
export function notToLoopback6(): Expression[] {
  return [payload(NETWORK_HEADER, 24, 16), compare(Uint8Array.of(...new Uint8Array(15), 1), "ne")];
}

/** The packet is of a connection that is known already. */
export function ofKnownConnection(): Expression[] {
  const [STATE, ESTABLISHED, RELATED] = [0, 2, 4];
  return connection(STATE, ESTABLISHED | RELATED);
}

/** Its destination is not what the sender wrote: a published port brought it here. */
export function ofPublishedPort(): Expression[] {
  const [STATUS, DST_NAT] = [2, 1 << 5];
  return connection(STATUS, DST_NAT);
}

/** To that address; `port` undefined keeps the port. */
export function sendTo(family: 4 | 6, address: Uint8Array, port: number | undefined): Expression[] {
  const [TYPE, FAMILY, ADDRESS_MIN, PORT_MIN] = [1, 2, 3, 5];
  const DNAT = 1;
  return [
    immediate(REGISTER_1, address),
    ...(port === undefined ? [] : [immediate(REGISTER_2, be16(port))]),
    expression(
      "nat",
      attribute(TYPE, be32(DNAT)),
      attribute(FAMILY, be32(NFPROTO[family])),
      attribute(ADDRESS_MIN, be32(REGISTER_1)),
      ...(port === undefined ? [] : [attribute(PORT_MIN, be32(REGISTER_2))]),
    ),
  ];
}

function expression(name: string, ...data: Uint8Array[]): Expression {
  return nested(LIST_ELEMENT, attribute(EXPRESSION_NAME, text(name)), nested(EXPRESSION_DATA, ...data));
}

function verdict(code: number): Expression {
  const [DREG, DATA] = [1, 2];
  const value = nested(DATA, nested(DATA_VERDICT, attribute(VERDICT_CODE, be32(code))));
  return expression("immediate", attribute(DREG, be32(VERDICT_REGISTER)), value);
}

function immediate(register: number, value: Uint8Array): Expression {
  const [DREG, DATA] = [1, 2];
  return expression("immediate", attribute(DREG, be32(register)), nested(DATA, attribute(DATA_VALUE, value)));
}

function load(key: number): Expression {
  const [DREG, KEY] = [1, 2];
  return expression("meta", attribute(DREG, be32(REGISTER_1)), attribute(KEY, be32(key)));
}

function payload(base: number, offset: number, length: number): Expression {
  const numbers = [REGISTER_1, base, offset, length];
  return expression("payload", ...numbers.map((value, at) => attribute(at + 1, be32(value))));
}

function bitwise(mask: Uint8Array): Expression {
  const [SREG, DREG, LENGTH, MASK, XOR] = [1, 2, 3, 4, 5];
  return expression(
    "bitwise",
    attribute(SREG, be32(REGISTER_1)),
    attribute(DREG, be32(REGISTER_1)),
    attribute(LENGTH, be32(mask.length)),
    nested(MASK, attribute(DATA_VALUE, mask)),
    nested(XOR, attribute(DATA_VALUE, new Uint8Array(mask.length))),
  );
}

function compare(value: Uint8Array, operator: keyof typeof COMPARE = "eq"): Expression {
  const [SREG, OP, DATA] = [1, 2, 3];
  return expression(
    "cmp",
    attribute(SREG, be32(REGISTER_1)),
    attribute(OP, be32(COMPARE[operator])),
    nested(DATA, attribute(DATA_VALUE, value)),
  );
}

function connection(key: number, bits: number): Expression[] {
  const [DREG, KEY] = [1, 2];
  return [
    expression("ct", attribute(DREG, be32(REGISTER_1)), attribute(KEY, be32(key))),
    bitwise(nativeU32(bits)),
    compare(nativeU32(0), "ne"),
  ];
}

function be16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 255);
}

function nativeU32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}
