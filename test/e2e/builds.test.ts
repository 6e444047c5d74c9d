import { expect } from "bun:test";
import { e2e } from "../support/e2e.ts";
import { writeFiles } from "../support/files.ts";

e2e(
  "builds, builds show and builds logs say what was built: when, how long, from what, why, and every byte it printed",
  async (slipway) => {
    const files = {
      "c/src/a": "1",
      "c/src/b": "1",
      "c/fail": "FROM alpine AS one\nRUN sleep 60\nFROM alpine\nRUN echo out; sleep 1; false\nCOPY --from=one /etc /e",
    };
    const big = "RUN yes 0123456789abcdef | head -c 300000; printf '\\033[2Jtail\\001' >&2";
    writeFiles(slipway.directory, { ...files, "c/Dockerfile": `FROM alpine\nCOPY src /src\n${big}\n` });
    await slipway.run(["build", "-t", "named", "c"]);
    for (let n = 0; n < 12; n++) files[`c/src/n${n}` as "c/src/a"] = "";
    writeFiles(slipway.directory, { ...files, "c/src/a": "2" });
    await slipway.run(["build", "-t", "named", "c"]);
    await slipway.run(["build", "-f", "c/fail", "c"], { exit: 1 });

    const rows = (await slipway.text("builds", "--format", "json")).split("\n").map((line) => JSON.parse(line));
    expect(rows.map(({ Status, Name }) => [Status, Name])).toEqual([
      ["failed", "c"],
      ["done", "named:latest"],
      ["done", "named:latest"],
    ]);
    const [failed, second] = rows.map(({ ID }) => ID);
    const listed = async (...args: string[]): Promise<number> =>
      (await slipway.text("builds", "-q", ...args)).split("\n").filter((line) => line !== "").length;
    expect(await listed("-f", "status=done", "-f", "reference=nam*")).toBe(2);
    expect(await listed("-f", `id=${failed}`)).toBe(1);
    expect(await listed("-f", "reference=other")).toBe(0);
    expect(await slipway.text("builds", "--format", "{{.ID}} {{.Steps}}", "-f", `id=${second}`)).toMatch(
      / \d\/\d cached$/,
    );

    const shown = await slipway.text("builds", "show", second);
    expect(shown).toMatch(/^Build: +\S+\nStatus: +done\n[\s\S]*Image: +sha256:/);
    expect(shown).toMatch(/[\d.]+s +\[2\/3\] COPY src \/src +src\/a changed, src\/n0 added, src\/n1 added and 10 more/);
    const json = JSON.parse(await slipway.text("builds", "show", second, "--format", "json"));
    const copied = json.steps.find((step: { name: string }) => step.name.includes("COPY"));
    expect(copied.outcome).toBe("done");
    expect(copied.changes[0].files).toHaveLength(13);
    expect(await slipway.text("builds", "show", failed)).toMatch(
      /Error: +process .* exit code: 1[\s\S]*CANCELED +\[one 2\/2\]/,
    );

    const bytes = `${"0123456789abcdef\n".repeat(17648).slice(0, 300000)}`;
    const log = (await slipway.run(["builds", "logs", second, "yes"])).stdout;
    expect(log.includes(bytes)).toBe(true);
    expect(log.length).toBe(bytes.length + "\x1b[2Jtail\x01".length);
    expect((await slipway.run(["builds", "logs"])).stdout).toMatch(
      /^#\d+ \[stage-1 2\/3\] RUN echo out; sleep 1; false\nout\n$/,
    );
    // Explained on the terminal: ten files, and how many more.
    writeFiles(slipway.directory, { ...files, "c/src/a": "3" });
    for (let n = 0; n < 12; n++) writeFiles(slipway.directory, { [`c/src/n${n}`]: "x" });
    const { stderr } = await slipway.run(["build", "--explain", "--progress", "plain", "c"]);
    expect(stderr).toMatch(/because: changed src\/a: content [0-9a-f]{12} → [0-9a-f]{12}\n/);
    expect(stderr.match(/because: changed /g)).toHaveLength(10);
    expect(stderr).toMatch(/because: and 3 more\n/);
  },
);
