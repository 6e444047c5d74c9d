import { describe, expect, test } from "bun:test";
import { commandTable, findCommand } from "./commandTable.ts";
import { parseFlags } from "./flags.ts";
import { commandHelp, generalHelp } from "./help.ts";
import { runCli } from "./runCli.ts";

const all = await Promise.all(commandTable.map(async (entry) => ({ entry, command: (await entry.load()).command })));

/** What a command line that opens no store says. */
async function said(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const result = { code: 0, out: "", err: "" };
  result.code = await runCli(argv, {
    out(text) {
      result.out += text;
    },
    err(text) {
      result.err += text;
    },
  });
  return result;
}

describe.each(all)("$entry.name", ({ entry, command }) => {
  const rules = { command: entry.name, flags: command.flags, stopAtPositional: command.stopAtPositional === true };
  const parse = (...argv: string[]) => parseFlags(argv, rules);
  const flags = Object.entries(command.flags);
  const supported = flags.filter(([, flag]) => flag.unsupported === undefined);

  test("every flag is read in each of its spellings, and one that slipway has not is refused with the reason", () => {
    for (const [name, { type, short, unsupported }] of flags) {
      const value = type === "int" ? "7" : "x,y=z";
      const read = type === "bool" ? true : type === "int" ? 7 : type === "list" ? [value] : value;
      const spelled =
        type === "bool" ? [[`--${name}`], [`--${name}=true`]] : [[`--${name}`, value], [`--${name}=${value}`]];
      if (short !== undefined) spelled.push(type === "bool" ? [`-${short}`] : [`-${short}`, value]);
      if (short !== undefined && type !== "bool") spelled.push([`-${short}${value}`], [`-${short}=${value}`]);
      for (const argv of spelled) {
        if (unsupported !== undefined) {
          expect(() => parse(...argv)).toThrow(` is not supported: ${unsupported}`);
          continue;
        }
        const { values, positionals } = parse(...argv, "rest");
        expect([values[name], Object.keys(values), positionals]).toEqual([read, [name], ["rest"]]);
      }
      if (type === "bool" && unsupported === undefined) expect(parse(`--${name}=false`).values[name]).toBe(false);
    }
    const shorts = flags.flatMap(([, { short }]) => short ?? []);
    expect(new Set(shorts).size).toBe(shorts.length);
  });

  test("--help names every flag with what it does, and no other", async () => {
    const help = commandHelp(entry, command);
    expect(help).toStartWith(`Usage:  slipway ${entry.name} ${command.usage}\n\n${command.summary}\n`);
    const lines = help.split("\n").filter((line) => /^ {2}(-\w, | {4})--/.test(line));
    expect(lines).toHaveLength(supported.length);
    for (const [name, { short, help: does }] of supported) {
      const line = lines.find((each) => each.slice(6).startsWith(`--${name} `)) ?? "";
      expect(line).toStartWith(short === undefined ? "      --" : `  -${short}, --`);
      expect([does.length > 3, line.endsWith(does)]).toEqual([true, true]);
    }
    for (const spelled of [entry.name, ...entry.aliases]) {
      expect(await said(...spelled.split(" "), "--help")).toEqual({ code: 0, out: help, err: "" });
      expect((await said("help", ...spelled.split(" "))).out).toBe(help);
    }
    if (!flags.some(([, { short }]) => short === "h"))
      expect((await said(...entry.name.split(" "), "-h")).out).toBe(help);
  });

  test("a slip in a flag is refused with the flag that was meant, and the command's own status", async () => {
    const code = command.failure ?? 1;
    for (const [name] of supported) {
      if (name.length < 5) continue;
      const slip = `${name.slice(0, -2)}${name.at(-1)}${name.at(-2)}`;
      if (slip === name) continue;
      const { err, code: found } = await said(...entry.name.split(" "), `--${slip}`);
      expect(err).toMatch(new RegExp(`^slipway: unknown flag: --${slip}\nDid you mean --[a-zA-Z-]+\\?\n$`));
      expect(found).toBe(code);
    }
    const far = await said(...entry.name.split(" "), "--utterly-unknown");
    expect(far.err).toBe(`slipway: unknown flag: --utterly-unknown\nSee 'slipway ${entry.name} --help'.\n`);
  });

  test("its example is one that it takes, and a wrong number of arguments shows the usage", async () => {
    for (const line of command.example.split("\n").filter((each) => each.startsWith("slipway "))) {
      const words = line.split(" | ")[0]?.split(" ").slice(1) ?? [];
      const found = findCommand(words);
      const { positionals } = parse(...words.slice(found?.words ?? 0));
      expect(found?.entry.name).toBe(entry.name);
      expect(positionals.length).toBeGreaterThanOrEqual(command.min);
      expect(positionals.length).toBeLessThanOrEqual(command.max ?? Number.POSITIVE_INFINITY);
    }
    expect(command.example).toContain(`slipway ${entry.name}`);
    const wrong = command.min > 0 ? [] : command.max === undefined ? undefined : Array(command.max + 1).fill("x");
    if (wrong === undefined) return;
    const { code, err } = await said(...entry.name.split(" "), ...wrong);
    expect(code).toBe(command.failure ?? 1);
    expect(err).toContain(`Usage:  slipway ${entry.name} ${command.usage}`);
  });
});

test("no two commands have a spelling in common", () => {
  const spelled = commandTable.flatMap(({ name, aliases }) => [name, ...aliases]);
  expect(spelled.filter((each, i) => spelled.indexOf(each) !== i)).toEqual([]);
});

test("the general help names every command that is not part of another", async () => {
  const help = generalHelp();
  for (const { name, summary, hidden } of commandTable)
    expect(help.includes(`  ${name} `) && help.includes(summary)).toBe(hidden !== true);
  for (const argv of [[], ["--help"], ["-h"], ["help"]])
    expect(await said(...argv)).toEqual({ code: 0, out: help, err: "" });
  for (const flag of ["--root", "--runtime", "--debug", "--version"]) expect(help).toContain(flag);
  expect((await said("--version")).out).toMatch(/^slipway .*\d+\.\d+/i);
});

test.each<[line: string, hint: string]>([
  ["biuld .", "Did you mean 'slipway build'? See 'slipway --help'."],
  ["imags", "Did you mean 'slipway images'? See 'slipway --help'."],
  ["image lss", "Did you mean 'slipway image ls'? See 'slipway --help'."],
  ["container stpo x", "Did you mean 'slipway container stop'? See 'slipway --help'."],
  ["contaner ls", "Did you mean 'slipway container ls'? See 'slipway --help'."],
  ["frobnicate", "See 'slipway --help'."],
])("of `slipway %s` the likeliest command is named", async (line, hint) => {
  const { code, err, out } = await said(...line.split(" "));
  expect([code, out]).toEqual([1, ""]);
  expect(err).toMatch(/^slipway: ".*" is not a slipway command\n/);
  expect(err).toEndWith(`\n${hint}\n`);
});

test("a group of commands without one of them names those that it has", async () => {
  for (const group of ["image", "container", "system"]) {
    const { code, err } = await said(group);
    const has = commandTable.flatMap(({ name, aliases }) =>
      [name, ...aliases].filter((each) => each.startsWith(`${group} `)),
    );
    expect([code, err]).toEqual([
      1,
      `slipway: ${JSON.stringify(group)} is not a slipway command\nIt has: ${has.map((each) => each.slice(group.length + 1)).join(", ")}.\n`,
    ]);
  }
});

test("a slip in a general flag is named, too", async () => {
  const { code, err } = await said("--rooot", "x", "images");
  expect([code, err]).toEqual([1, "slipway: unknown flag: --rooot\nDid you mean --root?\n"]);
});
