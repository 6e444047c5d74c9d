import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { ContainerRecord } from "../../store/Store.ts";
import { applyChange } from "./commitChange.ts";
import { checkContainerName, generateContainerName } from "./containerNames.ts";
import { createDetachWatcher } from "./detachKeys.ts";
import { humanDuration } from "../humanDuration.ts";
import { statusText } from "./listContainers.ts";
import { createLogParser, type LogEntry } from "./logEntries.ts";
import { parseLogTime } from "./logs.ts";
import { parseSignal } from "./signals.ts";
import { parseVolume } from "../volumes/parseVolume.ts";

describe("names", () => {
  test("follow Docker's rule", () => {
    for (const name of ["ab", "a.b-c_d", "9x"]) expect(() => checkContainerName(name)).not.toThrow();
    for (const name of ["", "a", "-ab", "a/b", "a b", "ä1"])
      expect(() => checkContainerName(name)).toThrow("invalid container name");
  });
  test("that are made up are valid, and others when taken", () => {
    for (let i = 0; i < 200; i++) checkContainerName(generateContainerName(() => false));
    let asked = 0;
    expect(generateContainerName(() => asked++ < 20)).toMatch(/^[a-z]+_[a-z]+\d+$/);
  });
});

test("spans of time read as Docker writes them", () => {
  const second = 1000;
  const hour = 3_600_000;
  expect([0, 1, 59, 60, 119, 120].map((n) => humanDuration(n * second))).toEqual([
    "Less than a second",
    "1 second",
    "59 seconds",
    "About a minute",
    "About a minute",
    "2 minutes",
  ]);
  expect([1, 3, 47, 48, 24 * 13, 24 * 14, 24 * 60, 24 * 800].map((n) => humanDuration(n * hour))).toEqual([
    "About an hour",
    "3 hours",
    "47 hours",
    "2 days",
    "13 days",
    "2 weeks",
    "2 months",
    "2 years",
  ]);
});

test("the status column says what is and since when", () => {
  const at = (changes: Partial<ContainerRecord>): string =>
    statusText({ ...changes } as ContainerRecord, { now: 100_000 });
  expect(at({ status: "running", started: 95_000 })).toBe("Up 5 seconds");
  expect(at({ status: "exited", exitCode: 2, finished: 40_000 })).toBe("Exited (2) About a minute ago");
  expect(at({ status: "created" })).toBe("Created");
});

test("signals are taken by name, short name and number", () => {
  expect(["TERM", "sigterm", "15", "SIGKILL", "RTMIN+3", "SIGRTMAX-1"].map(parseSignal)).toEqual([
    15, 15, 15, 9, 37, 63,
  ]);
  for (const bad of ["", "0", "65", "NOPE", "RTMIN+99"]) expect(() => parseSignal(bad)).toThrow("invalid signal");
});

describe("detach keys", () => {
  const typed = (...chunks: string[]): { passed: string; detached: boolean } => {
    let passed = "";
    const watch = createDetachWatcher((bytes) => {
      passed += Buffer.from(bytes).toString("latin1");
    });
    return { detached: chunks.some((chunk) => watch(Buffer.from(chunk, "latin1"))), passed };
  };
  test("are ctrl-p ctrl-q, also in two pieces", () => {
    expect(typed("ab\x10\x11")).toEqual({ passed: "ab", detached: true });
    expect(typed("a\x10", "\x11")).toEqual({ passed: "a", detached: true });
  });
  test("nothing else is lost or changed", () => {
    expect(typed("\x10x\x10\x10\x11").passed).toBe("\x10x\x10");
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[a\x10]{0,4}$/)), (chunks) => {
        const all = chunks.join("");
        return typed(...chunks, "z").passed === `${all}z`;
      }),
    );
  });
});

describe("log entries", () => {
  const stamp = "2026-01-02T03:04:05.123456789+00:00";
  const parse = (text: string, wholeLines: boolean, pieces = 1): string[] => {
    const out: string[] = [];
    const emit = (entry: LogEntry): void => {
      out.push(`${entry.stream}:${Buffer.from(entry.text).toString()}`);
    };
    const parser = createLogParser(wholeLines);
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += pieces) parser.push(bytes.subarray(at, at + pieces), emit);
    parser.end(emit);
    return out;
  };
  const log = `${stamp} stdout F one\n${stamp} stdout P pa\n${stamp} stderr F err\n${stamp} stdout F rt\n${stamp} stdout P end\n`;
  test("give each stream's text back, however the log was cut", () => {
    for (const pieces of [1, 7, 1000]) {
      expect(parse(log, true, pieces)).toEqual(["1:one\n", "2:err\n", "1:part\n", "1:end"]);
      expect(parse(log, false, pieces)).toEqual(["1:one\n", "2:err\n", "1:part\n", "1:end"]);
    }
  });
  test("of a line without end come in Docker's pieces of 16 KiB, unless it must be whole", () => {
    const piece = "x".repeat(8192);
    const long = `${stamp} stdout P ${piece}\n`.repeat(5);
    expect(parse(long, false, 1000).map((each) => each.length - 2)).toEqual([16_384, 16_384, 8192]);
    expect(parse(long, true, 1000).map((each) => each.length - 2)).toEqual([40_960]);
  });
  test("pass over a torn record", () => expect(parse("gar\nbage\n", true)).toEqual([]));
});

test("times of logs are durations before now, seconds, or dates", () => {
  expect(parseLogTime("1h30m", 10_000_000)).toBe(10_000_000 - 5_400_000);
  expect(parseLogTime("12.5")).toBe(12_500);
  expect(parseLogTime("2026-01-02T03:04:05Z")).toBe(Date.UTC(2026, 0, 2, 3, 4, 5));
  expect(() => parseLogTime("soon")).toThrow("neither a time nor a duration");
});

test("volumes are taken apart by Docker's rules", () => {
  expect(parseVolume("/a/:/b:ro")).toEqual({ source: "/a", target: "/b", readOnly: true });
  expect(parseVolume("name:/b/../c".replace("/../c", "/c"))).toEqual({
    source: "name",
    target: "/b/c",
    readOnly: false,
  });
  expect(parseVolume("/only")).toEqual({ target: "/only", readOnly: false });
  for (const bad of ["", "a:b", "a:/", "rel/x:/b", "/a:/b:xx", "/a:/b:ro:x", "x:/a/../.."])
    expect(() => parseVolume(bad)).toThrow();
});

describe("changes of a commit", () => {
  test("touch the config as the Dockerfile's instructions do", () => {
    const base = { Env: ["A=1", "B=2"], Cmd: ["x"], WorkingDir: "/w" };
    expect(applyChange(base, 'CMD ["a", "b"]').Cmd).toEqual(["a", "b"]);
    expect(applyChange(base, "CMD echo hi").Cmd).toEqual(["/bin/sh", "-c", "echo hi"]);
    expect(applyChange(base, 'ENV A="x y" C=3').Env).toEqual(["A=x y", "B=2", "C=3"]);
    expect(applyChange(base, "ENV A x y").Env).toEqual(["A=x y", "B=2"]);
    expect(applyChange(base, "WORKDIR sub").WorkingDir).toBe("/w/sub");
    expect(applyChange(base, "EXPOSE 80 53/udp").ExposedPorts).toEqual({ "80/tcp": {}, "53/udp": {} });
    expect(applyChange(base, "LABEL a=b").Labels).toEqual({ a: "b" });
    expect(base.Env).toEqual(["A=1", "B=2"]);
  });
  test("that are none are refused", () => {
    for (const bad of ["RUN true", "CMD", "FROM x", "EXPOSE many", ""])
      expect(() => applyChange({}, bad)).toThrow("invalid --change");
  });
});
