import type { SourceRange } from "../oci/SlipwayError.ts";
import type { MountFlag } from "./instruction.ts";
import { nearest } from "./nearest.ts";
import { syntaxError } from "./syntaxError.ts";

const TYPES = ["bind", "cache", "tmpfs", "secret", "ssh"] as const;
const KEYS = [
  "type",
  "from",
  "source",
  "src",
  "target",
  "dst",
  "destination",
  "readonly",
  "ro",
  "readwrite",
  "rw",
  "id",
  "sharing",
  "required",
  "size",
  "mode",
  "uid",
  "gid",
  "env",
];

/** The value of one `RUN --mount`: comma-separated `key=value`, a value with commas in double quotes. @throws SlipwayError `DOCKERFILE_SYNTAX` */
export function parseMount(text: string, range: SourceRange): MountFlag {
  const mount: MountFlag = { type: "bind" };
  for (const field of fields(text)) {
    const equals = field.indexOf("=");
    const key = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
    const value = equals < 0 ? undefined : field.slice(equals + 1);
    const boolean = (): boolean => {
      if (value === undefined || value === "true" || value === "1") return true;
      if (value === "false" || value === "0") return false;
      throw syntaxError(`invalid value for ${key}: ${value}`, range);
    };
    const string = (): string => {
      if (value === undefined) throw syntaxError(`invalid field '${field}' must be a key=value pair`, range);
      return value;
    };
    switch (key) {
      case "type": {
        const type = TYPES.find((each) => each === string());
        if (type === undefined)
          throw syntaxError(`unsupported mount type ${JSON.stringify(value)}`, range, suggestion(value ?? "", TYPES));
        mount.type = type;
        break;
      }
      case "from":
        mount.from = string();
        break;
      case "source":
      case "src":
        mount.source = string();
        break;
      case "target":
      case "dst":
      case "destination":
        mount.target = string();
        break;
      case "readonly":
      case "ro":
        mount.readOnly = boolean();
        break;
      case "readwrite":
      case "rw":
        mount.readOnly = !boolean();
        break;
      case "id":
        mount.id = string();
        break;
      case "sharing": {
        const sharing = (["shared", "private", "locked"] as const).find((each) => each === string().toLowerCase());
        if (sharing === undefined)
          throw syntaxError(
            `unsupported sharing value ${JSON.stringify(value)}`,
            range,
            "It is shared, private or locked.",
          );
        mount.sharing = sharing;
        break;
      }
      case "required":
        mount.required = boolean();
        break;
      case "size":
      case "mode":
      case "uid":
      case "gid":
      case "env":
        mount[key] = string();
        break;
      default:
        throw syntaxError(`unexpected key '${key}' in '${field}'`, range, suggestion(key, KEYS));
    }
  }
  if (mount.target === undefined && mount.type !== "secret" && mount.type !== "ssh") {
    throw syntaxError(`mount target is required`, range, "Say where to mount it: target=/path");
  }
  return mount;
}

function suggestion(word: string, known: readonly string[]): string | undefined {
  const near = nearest(word, known);
  return near === undefined ? undefined : `Did you mean ${near}?`;
}

/** One CSV record. */
function fields(text: string): string[] {
  const found: string[] = [];
  let field = "";
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i] as string;
    if (char === '"') {
      if (quoted && text[i + 1] === '"') {
        field += '"';
        i++;
      } else quoted = !quoted;
    } else if (char === "," && !quoted) {
      found.push(field);
      field = "";
    } else field += char;
  }
  found.push(field);
  return found.map((each) => each.trim()).filter((each) => each !== "");
}
