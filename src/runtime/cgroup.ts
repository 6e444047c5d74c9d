import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { isErrno } from "../linux/LinuxError.ts";
import { inUserNamespace } from "../linux/userNamespace.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { type CgroupSetting, settingsV1, settingsV2 } from "./cgroupSettings.ts";
import type { Resources } from "./resources.ts";
import { readOr } from "./readOr.ts";
import { enterUserScope, userTree } from "./rootless/userScope.ts";
import { cgroupName } from "./cgroupName.ts";

/** Where this host's control groups are. A hybrid host has both: each controller is in one tree only. */
export interface CgroupTrees {
  /** Controller → mount point. */
  v1: Map<string, string>;
  v2?: { mount: string; controllers: string[] };
}

/** The trees that can be reached from here; of a plain user, the part that is the user's own. `mountinfo`: as proc(5) has it. */
export function cgroupTrees(mountinfo = readFileSync("/proc/self/mountinfo", "utf8")): CgroupTrees {
  const trees = mountedTrees(mountinfo);
  const own = trees.v2 !== undefined && inUserNamespace() ? userTree(trees.v2.mount) : undefined;
  return own === undefined ? trees : { v1: new Map(), v2: own };
}

/** Lets a plain user's process make groups for containers, and put processes into them. @throws SlipwayError `LIMIT_UNAVAILABLE` */
export function prepareCgroups(): void {
  const { v2 } = mountedTrees(readFileSync("/proc/self/mountinfo", "utf8"));
  // A container's root, in a namespace that somebody else has made, may own its whole tree.
  if (v2 !== undefined && inUserNamespace() && !mayWrite(v2.mount)) enterUserScope({ mount: v2.mount });
}

function mayWrite(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function mountedTrees(mountinfo: string): CgroupTrees {
  const trees: CgroupTrees = { v1: new Map() };
  for (const line of mountinfo.split("\n")) {
    const [left = "", right] = line.split(" - ");
    if (right === undefined) continue;
    const mount = left.split(" ")[4] as string;
    const [type, , options = ""] = right.split(" ");
    if ((type !== "cgroup" && type !== "cgroup2") || !existsSync(`${mount}/cgroup.procs`)) continue;
    if (type === "cgroup2") {
      trees.v2 = { mount, controllers: readOr(`${mount}/cgroup.controllers`).trim().split(" ") };
    } else for (const option of options.split(",")) if (CONTROLLERS.includes(option)) trees.v1.set(option, mount);
  }
  return trees;
}

const CONTROLLERS = ["memory", "cpu", "cpuacct", "cpuset", "pids", "blkio", "devices", "freezer"];

/**
 * Makes a control group of this name in each tree that the limits need, with the limits in force, and returns their directories. Processes get
 * in by `joinCgroup`. `tracked`: one is made in the cgroup2 tree in any case, by which its processes are found and ended.
 * @throws SlipwayError `LIMIT_UNAVAILABLE` where this host cannot apply one, and nothing is left then
 */
export function makeCgroup(
  id: string,
  resources: Resources,
  options: { parent?: string | undefined; tracked?: boolean; trees?: CgroupTrees } = {},
): string[] {
  const trees = options.trees ?? cgroupTrees();
  const relative = cgroupName(id, options.parent);
  const settings = placed(trees, resources);
  const made: string[] = [];
  try {
    if (options.tracked === true && trees.v2 !== undefined) make(`${trees.v2.mount}/${relative}`);
    for (const { setting, mount, isV2 } of settings) {
      const directory = `${mount}/${relative}`;
      if (isV2) delegate(mount, relative, setting);
      if (!made.includes(directory)) {
        make(directory);
        if (setting.controller === "cpuset" && !isV2) inheritCpuset(mount, relative);
      }
      writeSetting(`${directory}/${setting.file}`, setting);
    }
  } catch (error) {
    removeCgroup(made);
    throw error;
  }
  return made;

  function make(directory: string): void {
    makeGroup(directory);
    made.push(directory);
  }
}

/** What `makeCgroup` would refuse, for groups that others make. @throws SlipwayError `LIMIT_UNAVAILABLE`, with the flag's name */
export function checkLimits(resources: Resources, trees = cgroupTrees()): void {
  placed(trees, resources);
}

/** Changes limits of a group that was made by `makeCgroup`. @throws SlipwayError `LIMIT_UNAVAILABLE` */
export function updateCgroup(directories: readonly string[], resources: Resources): void {
  const trees = cgroupTrees();
  const settings = placed(trees, resources).map((each) => ({
    ...each,
    directory: directories.find((directory) => directory.startsWith(`${each.mount}/`)),
  }));
  const missing = settings.find((each) => each.directory === undefined);
  if (missing !== undefined) {
    throw new SlipwayError(
      "LIMIT_UNAVAILABLE",
      `${missing.setting.flag} cannot be changed while the container runs: it was started without such a limit`,
    );
  }
  // A limit and one that must not be below it may have to be written in either order.
  const failed = settings.filter((each) => !tryWrite(`${each.directory}/${each.setting.file}`, each.setting.value));
  for (const each of failed) writeSetting(`${each.directory}/${each.setting.file}`, each.setting);
}

export function joinCgroup(directories: readonly string[], pid: number): void {
  for (const directory of directories) writeFileSync(`${directory}/cgroup.procs`, String(pid));
}

/** All processes in the group. */
export function cgroupPids(directories: readonly string[]): number[] {
  const [first] = directories;
  return first === undefined ? [] : readOr(`${first}/cgroup.procs`).trim().split("\n").filter(Boolean).map(Number);
}

/** Takes the group away with those below it, ending what is still in them; false where that could not be done yet. */
export function removeCgroup(directories: readonly string[]): boolean {
  let gone = true;
  for (const directory of directories) {
    const inner = groupsIn(directory);
    if (inner.length > 0 && !removeCgroup(inner)) gone = false;
    for (let tries = 0; ; tries++) {
      try {
        rmdirSync(directory);
        break;
      } catch (error) {
        const { code } = error as { code?: string };
        if (code === "ENOENT") break;
        if (code !== "EBUSY" || tries > 200) {
          gone = false;
          break;
        }
        setFrozen([directory], false);
        for (const pid of readOr(`${directory}/cgroup.procs`).trim().split("\n").filter(Boolean)) {
          try {
            process.kill(Number(pid), "SIGKILL");
          } catch {
            // just ended
          }
        }
        Bun.sleepSync(1);
      }
    }
  }
  return gone;
}

/** The groups that a container has made in its own. */
function groupsIn(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? [`${directory}/${entry.name}`] : [],
    );
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENODEV")) return []; // removed meanwhile
    throw error;
  }
}

/** Stops or lets go every process of the group; resolves when that is done. False where the group is in no tree that can. */
export function setFrozen(directories: readonly string[], frozen: boolean): boolean {
  for (const directory of directories) {
    if (existsSync(`${directory}/cgroup.freeze`)) {
      writeFileSync(`${directory}/cgroup.freeze`, frozen ? "1" : "0");
      awaitText(`${directory}/cgroup.events`, frozen ? "frozen 1" : "frozen 0");
      return true;
    }
    if (existsSync(`${directory}/freezer.state`)) {
      writeFileSync(`${directory}/freezer.state`, frozen ? "FROZEN" : "THAWED");
      awaitText(`${directory}/freezer.state`, frozen ? "FROZEN" : "THAWED");
      return true;
    }
  }
  return false;
}

/** Makes an empty group that can be frozen, `relative` to its tree. @throws SlipwayError `LIMIT_UNAVAILABLE` */
export function makeFreezer(relative: string): string {
  const trees = cgroupTrees();
  const mount = trees.v2?.mount ?? trees.v1.get("freezer");
  if (mount === undefined) {
    throw new SlipwayError("LIMIT_UNAVAILABLE", "this host has no control group that can be frozen");
  }
  const directory = `${mount}/${relative}`;
  makeGroup(directory);
  return directory;
}

/** @throws SlipwayError `LIMIT_UNAVAILABLE` */
function makeGroup(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true });
  } catch (error) {
    if (!isErrno(error, "EACCES", "EPERM", "EROFS")) throw error;
    throw new SlipwayError(
      "LIMIT_UNAVAILABLE",
      "this user may make no control groups, which limits and pauses are by",
      {
        hint: "They need root here.",
        cause: error,
        exitCode: 125,
      },
    );
  }
}

function awaitText(path: string, text: string): void {
  for (let waited = 0; waited < 2000 && !readOr(path).includes(text); waited++) Bun.sleepSync(1);
}

interface PlacedSetting {
  setting: CgroupSetting;
  mount: string;
  isV2: boolean;
}

/** Each setting with the tree that has its controller. */
function placed(trees: CgroupTrees, resources: Resources): PlacedSetting[] {
  const v2 = settingsV2(resources);
  const out: PlacedSetting[] = [];
  const asV1 = settingsV1(resources);
  const needed = new Set(asV1.map((each) => each.controller));
  for (const controller of needed) {
    const mount = trees.v1.get(controller);
    if (mount !== undefined) {
      for (const setting of asV1) if (setting.controller === controller) out.push({ setting, mount, isV2: false });
      continue;
    }
    const twin = controller === "blkio" ? "io" : controller;
    const flags = new Set(asV1.filter((each) => each.controller === controller).map((each) => each.flag));
    const own = v2.filter((each) => each.controller === twin);
    const left = v2.find((each) => each.controller === "none" && flags.has(each.flag));
    if (left !== undefined || trees.v2 === undefined || !trees.v2.controllers.includes(twin)) {
      const flag = left?.flag ?? [...flags][0];
      throw new SlipwayError("LIMIT_UNAVAILABLE", `${flag} cannot be applied: this host has no control group for it`, {
        hint: `It takes the cgroup controller ${left === undefined ? twin : `${controller} of version 1`}.`,
        exitCode: 125,
      });
    }
    for (const setting of own) out.push({ setting, mount: trees.v2.mount, isV2: true });
  }
  const cpus = out.find(({ setting }) => setting.file === "cpuset.cpus");
  if (cpus !== undefined) checkProcessors(cpus);
  return out;
}

/** The kernel says of a processor that is not there only that a number is out of range. */
function checkProcessors({ setting, mount, isV2 }: PlacedSetting): void {
  const available = readOr(`${mount}/${isV2 ? "cpuset.cpus.effective" : "cpuset.effective_cpus"}`).trim();
  const asked = parseCpuSet(setting.value);
  const there = new Set(parseCpuSet(available));
  if (available === "" || asked.every((each) => there.has(each))) return;
  throw new SlipwayError(
    "LIMIT_UNAVAILABLE",
    `Requested CPUs are not available - requested ${setting.value}, available: ${available}`,
    { exitCode: 125 },
  );
}

/** cpuset(7), "List format". */
function parseCpuSet(text: string): number[] {
  return text.split(",").flatMap((part) => {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(part.trim()) ?? [];
    if (first === undefined) return [];
    const length = Math.max(0, Math.min(Number(last), 65_535) - Number(first) + 1);
    return Array.from({ length }, (_, i) => Number(first) + i);
  });
}

/** Lets the groups on the way use the controller. */
function delegate(mount: string, relative: string, setting: CgroupSetting): void {
  const parts = relative.split("/").slice(0, -1);
  let directory = mount;
  for (const part of ["", ...parts]) {
    if (part !== "") directory = `${directory}/${part}`;
    makeGroup(directory);
    if (readOr(`${directory}/cgroup.subtree_control`).split(/\s+/).includes(setting.controller)) continue;
    writeSetting(`${directory}/cgroup.subtree_control`, { ...setting, value: `+${setting.controller}` });
  }
}

/** A version 1 cpuset takes no process before both of its sets are given, and what is above it has to have them first. */
function inheritCpuset(mount: string, relative: string): void {
  let above = mount;
  for (const part of relative.split("/")) {
    const directory = `${above}/${part}`;
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      if (readOr(`${directory}/${file}`).trim() === "")
        writeFileSync(`${directory}/${file}`, readOr(`${above}/${file}`));
    }
    above = directory;
  }
}

function tryWrite(path: string, value: string): boolean {
  try {
    writeFileSync(path, value);
    return true;
  } catch {
    return false;
  }
}

function writeSetting(path: string, setting: CgroupSetting): void {
  try {
    writeFileSync(path, setting.value, { flag: "r+" });
  } catch (error) {
    const { code } = error as { code?: string };
    const why =
      code === "ENOENT"
        ? `this host's ${setting.controller} controller has no ${setting.file}`
        : `the kernel refuses ${JSON.stringify(setting.value)} in ${setting.file} (${code})`;
    throw new SlipwayError("LIMIT_UNAVAILABLE", `${setting.flag} cannot be applied: ${why}`, {
      cause: error,
      exitCode: 125,
    });
  }
}
