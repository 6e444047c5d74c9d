export interface LogEntry {
  /** As conmon wrote it: RFC 3339 with nanoseconds. */
  stamp: string;
  /** Milliseconds since the epoch. */
  time: number;
  stream: 1 | 2;
  /** With its newline; without where the line was not finished. */
  text: Uint8Array;
}

export interface LogParser {
  push(bytes: Uint8Array, emit: (entry: LogEntry) => void): void;
  /** Gives out an unfinished line. */
  end(emit: (entry: LogEntry) => void): void;
}

const NEWLINE = 10;
const SPACE = 32;
const PIECE = 16_384;

/**
 * Reads conmon's k8s-file format: `<time> stdout|stderr F|P <text>`, P for a part of a line that goes on. The parts of each stream become one
 * entry, of the time of the last one; unless `wholeLines`, what is longer than Docker's 16 KiB is given out in pieces.
 */
export function createLogParser(wholeLines: boolean): LogParser {
  let rest: Uint8Array = new Uint8Array(0);
  const parts = new Map<1 | 2, LogEntry>();

  function line(record: Uint8Array, emit: (entry: LogEntry) => void): void {
    const first = record.indexOf(SPACE);
    const second = record.indexOf(SPACE, first + 1);
    const third = record.indexOf(SPACE, second + 1);
    if (first < 0 || second < 0 || third < 0) return; // torn by a crash of the machine
    const head = Buffer.from(record.buffer, record.byteOffset, third).toString("latin1");
    const [stamp, streamName, tag] = head.split(" ") as [string, string, string];
    const stream = streamName === "stderr" ? 2 : 1;
    const finished = tag.startsWith("F");
    const body = record.subarray(third + 1);
    let text = body;
    if (finished) {
      text = new Uint8Array(body.length + 1);
      text.set(body);
      text[body.length] = NEWLINE;
    }
    const before = parts.get(stream);
    const entry: LogEntry =
      before === undefined
        ? { stamp, time: Date.parse(stamp), stream, text: finished ? text : text.slice() }
        : { stamp, time: Date.parse(stamp), stream, text: Buffer.concat([before.text, text]) };
    if (finished || (!wholeLines && entry.text.length >= PIECE)) {
      parts.delete(stream);
      emit(entry);
    } else parts.set(stream, entry);
  }

  return {
    push(bytes, emit) {
      const all = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
      let start = 0;
      for (let end = all.indexOf(NEWLINE); end >= 0; end = all.indexOf(NEWLINE, start)) {
        line(all.subarray(start, end), emit);
        start = end + 1;
      }
      rest = all.slice(start);
    },
    end(emit) {
      for (const entry of parts.values()) emit(entry);
      parts.clear();
    },
  };
}
