import { afterEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { enterUserScope, type ScopeContext, userScope } from "./userScope.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const each of cleanups.splice(0)) each();
});

/** A systemd as plain files: it puts the caller where it is asked to, unless the unit is there. */
function systemd(options: { refuses?: string } = {}) {
  const mount = mkdtempSync(join(tmpdir(), "slipway-scope-"));
  cleanups.push(() => rmSync(mount, { recursive: true, force: true }));
  const directory = userScope(mount, 1000);
  const calls: string[][] = [];
  let own = "0::/user.slice/user-1000.slice/session-3.scope\n";
  const context: ScopeContext = {
    mount,
    user: 1000,
    ownGroups: () => own,
    startHolder: () => 4242,
    call(method, ...words) {
      calls.push([method, ...words]);
      if (options.refuses !== undefined) return options.refuses;
      const at = directory.slice(mount.length);
      if (method === "StartTransientUnit") {
        if (existsSync(directory)) return "Unit slipway.scope was already loaded";
        mkdirSync(directory, { recursive: true });
        own = `0::${at}\n`;
      } else own = `0::${at}/commands\n`;
      return undefined;
    },
  };
  return { context, directory, calls, leave: () => (own = "0::/user.slice/user-1000.slice/session-4.scope\n") };
}

test("the first slipway of a user has systemd hand over a scope and furnishes it, the next ones join it, and who is in asks nobody", () => {
  const { context, directory, calls, leave } = systemd();
  enterUserScope(context);
  expect(calls.map(([method]) => method)).toEqual(["StartTransientUnit"]);
  expect(calls[0]?.join(" ")).toContain(`Delegate b true PIDs au 1 ${process.pid}`);
  expect(readFileSync(`${directory}/holder/cgroup.procs`, "utf8")).toBe("4242");
  expect(readFileSync(`${directory}/commands/cgroup.procs`, "utf8")).toBe(String(process.pid));
  enterUserScope(context);
  expect(calls).toHaveLength(1);
  leave();
  enterUserScope(context);
  expect(calls[1]).toEqual(["AttachProcessesToUnit", "ssau", "slipway.scope", "/commands", "1", String(process.pid)]);
});

test("a scope that another slipway makes at this moment is joined when it is furnished", () => {
  const { context, directory, calls } = systemd();
  mkdirSync(directory, { recursive: true });
  const { call } = context;
  context.call = (method, ...words) => {
    const complaint = call?.(method, ...words);
    mkdirSync(`${directory}/commands`, { recursive: true });
    writeFileSync(`${directory}/commands/cgroup.procs`, "");
    return complaint;
  };
  enterUserScope(context);
  expect(calls.map(([method]) => method)).toEqual(["StartTransientUnit", "AttachProcessesToUnit"]);
});

test("where systemd hands nothing over, a limit is refused with its words", () => {
  const { context } = systemd({ refuses: "Failed to connect to bus: No medium found" });
  expect(() => enterUserScope(context)).toThrow(
    expect.objectContaining({ code: "LIMIT_UNAVAILABLE", message: expect.stringContaining("No medium found") }),
  );
});
