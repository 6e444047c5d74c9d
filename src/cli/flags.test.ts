import { expect, test } from "bun:test";
import fc from "fast-check";
import { type FlagRules, parseFlags } from "./flags.ts";

const rules: FlagRules = {
  command: "slipway run",
  exitCode: 125,
  stopAtPositional: true,
  flags: {
    interactive: { type: "bool", short: "i", help: "Keep stdin open" },
    tty: { type: "bool", short: "t", help: "Give it a terminal" },
    env: { type: "list", short: "e", help: "Environment" },
    name: { type: "string", help: "Name" },
    "stop-timeout": { type: "int", help: "Seconds" },
    gpus: { type: "string", help: "GPUs", unsupported: "no device plugins" },
  },
};

test("short flags bundle, and the last of a bundle may take a value", () => {
  expect(parseFlags(["-iteA=b", "x"], rules)).toEqual({
    values: Object.assign(Object.create(null), { interactive: true, tty: true, env: ["A=b"] }),
    positionals: ["x"],
  });
  expect(parseFlags(["-t=false", "-i"], rules).values).toMatchObject({ tty: false, interactive: true });
});

test("flags after the image belong to the command", () => {
  expect(parseFlags(["-i", "alpine", "ls", "-t", "--", "--name"], rules).positionals).toEqual([
    "alpine",
    "ls",
    "-t",
    "--",
    "--name",
  ]);
});

test("any value comes through, joined or apart", () => {
  fc.assert(
    fc.property(fc.array(fc.string()), (list) => {
      const joined =
        parseFlags(
          list.map((value) => `--env=${value}`),
          rules,
        ).values.env ?? [];
      const apart =
        parseFlags(
          list.flatMap((value) => ["-e", value]),
          rules,
        ).values.env ?? [];
      expect(joined).toEqual(list);
      expect(apart).toEqual(list);
    }),
  );
});

test("a misused flag is refused by name with the command's exit code", () => {
  const refused = (...argv: string[]) => {
    try {
      parseFlags(argv, rules);
    } catch (error) {
      return error as { message: string; hint: string; exitCode: number };
    }
    throw new Error("was accepted");
  };
  expect(refused("--nmae", "x")).toMatchObject({ message: "unknown flag: --nmae", exitCode: 125 });
  expect(refused("--intractive").hint).toBe("Did you mean --interactive?");
  expect(refused("--gpus", "all").message).toBe("--gpus is not supported: no device plugins");
  expect(refused("--name").message).toBe("flag needs an argument: --name");
  expect(refused("--stop-timeout=x").message).toContain("not a whole number");
  expect(refused("-tz").message).toBe("unknown shorthand flag: 'z' in -tz");
  expect(refused("--constructor").message).toBe("unknown flag: --constructor");
});
