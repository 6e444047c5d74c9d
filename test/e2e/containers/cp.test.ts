import { expect } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { e2e } from "../../support/e2e.ts";

e2e(
  "cp follows docker's path rules both ways, of running and stopped containers, and no link leads it out",
  async (slipway) => {
    const here = join(slipway.directory, "here");
    mkdirSync(here);
    const at = (...parts: string[]) => join(here, ...parts);
    const cp = (...args: string[]) => slipway.run(["cp", ...args], { cwd: here });
    const fails = async (...args: string[]) => (await slipway.run(["cp", ...args], { cwd: here, exit: 1 })).stderr;
    const make =
      "mkdir -p /src/sub /dst; echo one > /src/f; echo two > /src/sub/g; ln -s /src/f /link; ln -s /src /dirlink; ln -s /etc/passwd /src/abs; chown 5:6 /src/f; chmod 640 /src/f; ln /src/f /src/hard; mkfifo /src/pipe";
    await slipway.run([
      "run",
      "-d",
      "--name",
      "up",
      "-v",
      "vol:/vol",
      "alpine",
      "sh",
      "-c",
      `${make}; echo in volume > /vol/v; exec sleep 300`,
    ]);
    await slipway.run(["run", "--name", "down", "-v", "vol:/vol", "alpine", "sh", "-c", make]);

    for (const box of ["up", "down"]) {
      const base = at(box);
      mkdirSync(base);
      // From the container: into a directory that is there; to a new name; over a file.
      expect((await cp(`${box}:/src/f`, base)).stderr).toBe(""); // its word of it is for a terminal
      await cp("-q", `${box}:/src/f`, join(base, "renamed"));
      writeFileSync(join(base, "over"), "old and longer");
      await cp(`${box}:/src/f`, join(base, "over"));
      expect(["f", "renamed", "over"].map((name) => readFileSync(join(base, name), "utf8"))).toEqual([
        "one\n",
        "one\n",
        "one\n",
      ]);
      expect([statSync(join(base, "f")).uid, statSync(join(base, "f")).mode & 0o777]).toEqual([0, 0o640]);
      await cp("-a", `${box}:/src/f`, join(base, "owned"));
      expect([statSync(join(base, "owned")).uid, statSync(join(base, "owned")).gid]).toEqual([5, 6]);
      // A directory: itself into one that is there, its contents with /. , as a new one.
      await cp(`${box}:/src`, base);
      await cp(`${box}:/src`, join(base, "new"));
      mkdirSync(join(base, "contents"));
      await cp(`${box}:/src/.`, join(base, "contents"));
      for (const dir of ["src", "new", "contents"])
        expect(readdirSync(join(base, dir)).sort()).toEqual(["abs", "f", "hard", "pipe", "sub"]);
      expect(statSync(join(base, "src/f")).ino).toBe(statSync(join(base, "src/hard")).ino);
      expect(readlinkSync(join(base, "src/abs"))).toBe("/etc/passwd");
      // Links: the link itself, or with -L what it leads to by the link's name; on the way they are always followed, inside.
      await cp(`${box}:/link`, join(base, "as-link"));
      expect(lstatSync(join(base, "as-link")).isSymbolicLink()).toBe(true);
      await cp("-L", `${box}:/link`, base);
      expect(readFileSync(join(base, "link"), "utf8")).toBe("one\n");
      await cp(`${box}:/dirlink/sub/g`, base);
      expect(readFileSync(join(base, "g"), "utf8")).toBe("two\n");
      await cp(`${box}:/vol/v`, base);
      expect(readFileSync(join(base, "v"), "utf8")).toBe("in volume\n");

      // To the container.
      writeFileSync(join(base, "mine"), "from here\n", { mode: 0o600 });
      await cp(join(base, "mine"), `${box}:/dst`);
      await cp(join(base, "mine"), `${box}:/dst/other`);
      await cp(join(base, "mine"), `${box}:/vol/mine`);
      await cp(join(base, "contents"), `${box}:/dst/tree`);
      await cp(`${base}/contents/.`, `${box}:/dirlink`);
      expect((await slipway.run(["cp", `${box}:/dst/other`, "-"])).stdout).toContain("from here");
      const tar = Bun.spawnSync(["tar", "-c", "-C", base, "mine"]).stdout;
      await slipway.run(["cp", "-", `${box}:/src/sub`], { input: tar });
      await cp(`${box}:/src/sub/mine`, join(base, "back"));
      expect(readFileSync(join(base, "back"), "utf8")).toBe("from here\n");
      mkdirSync(join(base, "check"));
      await cp(`${box}:/dst`, join(base, "check"));
      expect(readdirSync(join(base, "check/dst")).sort()).toEqual(["mine", "other", "tree"]);

      // What docker refuses.
      expect(await fails(`${box}:/nothing`, base)).toContain("Could not find the file /nothing");
      expect(await fails(`${box}:/src/f`, join(base, "missing/"))).toContain("no such directory");
      expect(await fails(`${box}:/src`, join(base, "f"))).toContain("cannot copy directory");
      expect(await fails(join(base, "f"), `${box}:/nowhere/f`)).toContain("could not find the directory /nowhere");
      expect(await fails(`${box}:/src/f/`, base)).toContain("not a directory");
      mkdirSync(join(base, "clash/f"), { recursive: true });
      expect(await fails(`${box}:/src/f`, join(base, "clash"))).toContain(
        "cannot overwrite directory with non-directory",
      );
    }
    expect(
      await slipway.text(
        "exec",
        "up",
        "sh",
        "-c",
        "stat -c '%u:%g %a' /dst/mine; cat /vol/mine /src/sub/mine; cat /src/f",
      ),
    ).toBe("0:0 600\nfrom here\nfrom here\none");
    expect(await fails("up:/a", "down:/b")).toContain("copying between containers is not supported");
    expect(await fails("a", "b")).toContain("must specify at least one container source");

    // A container that would lead out: its links are resolved in it, and an archive's links and names lead nowhere here.
    await slipway.run([
      "exec",
      "up",
      "sh",
      "-c",
      `ln -s ${here} /out; ln -s ../../../../../../../../etc /up; ln -s /proc/1/root/tmp /magic`,
    ]);
    expect(await fails("up:/out/up", at("x"))).toContain("Could not find the file");
    expect(await fails(at("up/f"), "up:/out/planted")).toContain("could not find the directory");
    await cp("up:/up/passwd", at("passwd"));
    expect(readFileSync(at("passwd"), "utf8")).not.toBe(readFileSync("/etc/passwd", "utf8"));
    expect(await fails(at("up/f"), "up:/magic/planted")).toMatch(/leads out|could not|too many/);
    expect(existsSync("/tmp/planted")).toBe(false);
    mkdirSync(at("target"));
    mkdirSync(at("outside"));
    symlinkSync(at("outside"), at("target/evil"));
    await slipway.run(["exec", "up", "sh", "-c", "mkdir -p /bad/evil; echo x > /bad/evil/planted"]);
    expect(await fails("up:/bad/.", at("target"))).toMatch(/leads out|non-directory/);
    expect(readdirSync(at("outside"))).toEqual([]);
    writeFileSync(
      at("up.tar"),
      Bun.spawnSync(["tar", "-c", "-P", "--transform", "s,.*,../../escaped,", at("up/f")]).stdout,
    );
    expect(
      (await slipway.run(["cp", "-", "up:/dst"], { input: readFileSync(at("up.tar")), exit: 1 })).stderr,
    ).toContain("leads out");
    await slipway.run(["run", "-d", "--name", "ro", "--read-only", "-v", "vol:/vol:ro", "alpine", "sleep", "300"]);
    expect(await fails(at("up/f"), "ro:/tmp")).toContain("marked read-only");
  },
);
