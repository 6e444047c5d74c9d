import { resolve } from "node:path";
import { csvFields } from "../dockerfile/csvFields.ts";
import type { MountRequest } from "../engine/containers/RunSettings.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { bytes } from "./sizes.ts";

const TYPES = ["bind", "volume", "tmpfs", "image"];
const PROPAGATIONS = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];
/** Keys that go with one type alone. */
const OF_TYPE: Record<string, string[]> = {
  bind: ["bind-propagation", "bind-nonrecursive", "bind-recursive", "bind-create-src"],
  volume: ["volume-nocopy", "volume-label", "volume-driver", "volume-opt", "volume-subpath"],
  tmpfs: ["tmpfs-size", "tmpfs-mode"],
  image: ["image-subpath"],
};

/** One `--mount`, in Docker's form (`type=bind,src=/a,dst=/b,ro`). @throws SlipwayError `USAGE` */
export function parseMountFlag(text: string): MountRequest {
  const fail = (why: string, hint?: string): never => {
    throw new SlipwayError("USAGE", `invalid argument ${JSON.stringify(text)} for "--mount" flag: ${why}`, {
      hint: hint ?? "For example type=bind,src=/host/path,dst=/path,ro.",
      exitCode: 125,
    });
  };
  const mount: Omit<MountRequest, "target"> & { target?: string } = { type: "volume", readOnly: false };
  const specific: string[] = [];
  for (const field of csvFields(text)) {
    const equals = field.indexOf("=");
    const key = (equals < 0 ? field : field.slice(0, equals)).trim().toLowerCase();
    const value = equals < 0 ? undefined : field.slice(equals + 1);
    const flag = (): boolean => {
      if (value === undefined) return true;
      if (/^(1|t|true)$/i.test(value)) return true;
      if (/^(0|f|false)$/i.test(value)) return false;
      return fail(`invalid value for ${key}: ${value}`);
    };
    if (
      value === undefined &&
      !["readonly", "ro", "volume-nocopy", "bind-nonrecursive", "bind-create-src"].includes(key)
    )
      fail(`invalid field '${field}' must be a key=value pair`);
    if (Object.values(OF_TYPE).flat().includes(key)) specific.push(key);
    switch (key) {
      case "type":
        mount.type = String(value).toLowerCase() as MountRequest["type"];
        if (!TYPES.includes(mount.type)) fail(`unknown mount type ${value}`, `There are ${TYPES.join(", ")}.`);
        break;
      case "source":
      case "src":
        mount.source = String(value);
        if (mount.source.startsWith(".")) mount.source = resolve(mount.source);
        break;
      case "target":
      case "dst":
      case "destination":
        mount.target = String(value);
        break;
      case "readonly":
      case "ro":
        mount.readOnly = flag();
        break;
      case "consistency":
        break; // has a meaning on other systems only
      case "bind-propagation":
        mount.propagation = String(value).toLowerCase();
        if (!PROPAGATIONS.includes(mount.propagation)) fail(`invalid propagation ${value}`);
        break;
      case "bind-nonrecursive":
        mount.nonRecursive = flag();
        break;
      case "bind-recursive":
        if (value === "disabled") mount.nonRecursive = true;
        else if (value === "writable" || value === "readonly") mount.recursiveReadOnly = value;
        else if (value !== "enabled") fail(`invalid value for bind-recursive: ${value}`);
        break;
      case "bind-create-src":
        if (flag()) mount.createSource = true;
        break;
      case "volume-nocopy":
        mount.noCopy = flag();
        break;
      case "volume-label": {
        const at = String(value).indexOf("=");
        mount.labels = {
          ...mount.labels,
          [at < 0 ? String(value) : String(value).slice(0, at)]: at < 0 ? "" : String(value).slice(at + 1),
        };
        break;
      }
      case "volume-driver":
        if (value !== "local" && value !== "") fail(`volume driver ${value} is not there`, "There is `local`.");
        break;
      case "volume-opt":
        fail("volume-opt is not supported", "Make the volume first: slipway volume create.");
        break;
      case "volume-subpath":
      case "image-subpath":
        mount.subpath = String(value);
        if (mount.subpath.startsWith("/") || mount.subpath.split("/").includes(".."))
          fail(`the subpath ${value} must be a relative path that stays inside`);
        break;
      case "tmpfs-size":
        mount.tmpfsSize = bytes(String(value));
        break;
      case "tmpfs-mode":
        if (!/^[0-7]{1,4}$/.test(String(value))) fail(`invalid value for tmpfs-mode: ${value}`);
        mount.tmpfsMode = Number.parseInt(String(value), 8);
        break;
      default:
        fail(`unexpected key '${key}' in '${field}'`);
    }
  }
  const { type, source, target } = mount;
  for (const key of specific) {
    if (!(OF_TYPE[type] as string[]).includes(key)) fail(`cannot mix '${key}' with mount type '${type}'`);
  }
  if (target === undefined || target === "") return fail("target is required");
  if (!target.startsWith("/")) fail(`the path in the container must be absolute: ${target}`);
  if ((type === "bind" || type === "image") && (source === undefined || source === "")) fail("source is required");
  if (type === "bind" && !(source as string).startsWith("/"))
    fail(`the source of a bind mount must be absolute: ${source}`);
  if (type === "tmpfs" && source !== undefined) fail("source must not be given for tmpfs");
  if (type === "volume" && source === "") delete mount.source;
  return { ...mount, target: cleanTarget(target) };

  function cleanTarget(path: string): string {
    const parts: string[] = [];
    for (const part of path.split("/")) {
      if (part === "..") parts.pop();
      else if (part !== "" && part !== ".") parts.push(part);
    }
    if (parts.length === 0) fail("the path in the container cannot be its root");
    return `/${parts.join("/")}`;
  }
}
