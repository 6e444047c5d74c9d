import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { extractArchive } from "../../layer/archive.ts";
import { AT_FDCWD, O_CREAT, O_EXCL, O_RDONLY, O_RDWR } from "../../linux/constants.ts";
import type { Linux } from "../../linux/Linux.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { csvFields } from "../../dockerfile/csvFields.ts";
import { parseBool } from "../../dockerfile/parseBool.ts";
import type { BuildOptions } from "../../engine/Engine.ts";
import { type Call, given, text } from "../Command.ts";
import { BUCKET_HINT } from "./kanikoFlags.ts";

/** kaniko's own: where its image begins. */
const DEFAULT_CONTEXT = "/workspace/";

/**
 * What `--context`, `--context-sub-path`, `--dockerfile` and `--git` come to for the build. An archive is unpacked into an empty `directory()`,
 * so that what holds for directories (`.dockerignore`, `--context-sub-path`) holds for it. A Dockerfile that is a file here goes before one of the context.
 * Credentials for git are put into `env`, for git alone.
 * @throws SlipwayError `INVALID_CONTEXT`, `CONTEXT_NOT_FOUND`, `CORRUPT_ARCHIVE`
 */
export async function kanikoContext(
  call: Call,
  { linux, directory, env }: { linux: Linux; directory: () => string; env: NodeJS.ProcessEnv },
): Promise<Pick<BuildOptions, "context" | "file" | "stdin">> {
  const written = text(call, "context") || DEFAULT_CONTEXT;
  const sub = text(call, "context-sub-path") ?? "";
  const file = text(call, "dockerfile");
  const [scheme, rest] = /^([a-z0-9]+):\/\/(.*)$/s.exec(written)?.slice(1) ?? ["dir", written];
  switch (scheme) {
    case "dir":
      return local(join(rest as string, sub), file);
    case "tar":
      return local(join(await unpacked(linux, rest as string, directory), sub), file);
    case "git":
      return remote(gitContext(rest as string, sub, { options: gitOptions(text(call, "git")), env }), file, written);
    case "http":
    case "https":
      if (sub !== "")
        throw new SlipwayError("INVALID_CONTEXT", "--context-sub-path does not go with a URL", {
          hint: "Name the Dockerfile by its path in the archive.",
        });
      return remote(written, file, written);
    default:
      throw new SlipwayError("INVALID_CONTEXT", `--context ${written}: ${scheme}:// is not supported`, {
        hint: BUCKET_HINT.replace(/^b/, "B"),
      });
  }
}

function local(context: string, file: string | undefined): Pick<BuildOptions, "context" | "file"> {
  const wanted = file ?? "Dockerfile";
  if (/^https?:\/\//.test(wanted)) return { context, file: wanted };
  if (existsSync(wanted)) return { context, file: resolve(wanted) };
  const inside = join(context, wanted);
  // `Dockerfile` by itself is left to the build, which also knows `dockerfile`.
  if (file === undefined) return { context };
  if (existsSync(inside)) return { context, file: resolve(inside) };
  throw new SlipwayError("DOCKERFILE_NOT_FOUND", `there is no Dockerfile ${wanted}, neither here nor in ${context}`, {
    hint: "Give its path in the build context with --dockerfile.",
  });
}

function remote(
  context: string,
  file: string | undefined,
  written: string,
): Pick<BuildOptions, "context" | "file" | "stdin"> {
  if (file === undefined || /^https?:\/\//.test(file) || !existsSync(file)) return { context, ...given("file", file) };
  if (written.startsWith("tar://")) throw new Error("archives are unpacked");
  return { context, file: "-", stdin: () => Bun.file(resolve(file)).stream() };
}

async function unpacked(linux: Linux, file: string, directory: () => string): Promise<string> {
  const place = directory();
  const stream = file === "stdin" ? Bun.stdin.stream() : undefined;
  if (stream === undefined && !existsSync(file))
    throw new SlipwayError("CONTEXT_NOT_FOUND", `there is no archive ${file}`, {
      hint: "tar:///absolute/path.tar.gz is a file, tar://stdin is standard input.",
    });
  const fd =
    stream === undefined
      ? linux.openat(AT_FDCWD, resolve(file), O_RDONLY)
      : linux.openat(AT_FDCWD, join(directory(), "context"), O_RDWR | O_CREAT | O_EXCL, 0o600);
  try {
    for await (const chunk of stream ?? []) linux.write(fd, chunk);
    await extractArchive({ linux, fd, directory: place });
  } finally {
    linux.close(fd);
  }
  return place;
}

interface GitOptions {
  branch: string;
  submodules: boolean;
  insecure: boolean;
}

function gitOptions(said: string | undefined): GitOptions {
  const options: GitOptions = { branch: "", submodules: false, insecure: false };
  for (const field of said === undefined ? [] : csvFields(said)) {
    const equals = field.indexOf("=");
    const [key, value] = [field.slice(0, equals), field.slice(equals + 1)];
    const bool = (): boolean => {
      const read = parseBool(value);
      if (read === undefined) throw new SlipwayError("USAGE", `--git ${said}: ${value} is not a boolean`);
      return read;
    };
    if (key === "branch") options.branch = value;
    else if (key === "single-branch") bool();
    else if (key === "recurse-submodules") options.submodules = bool();
    else if (key === "insecure-skip-tls") options.insecure = bool();
    else
      throw new SlipwayError("USAGE", `--git ${said}: unexpected ${JSON.stringify(field)}`, {
        hint: "It takes branch, single-branch, recurse-submodules and insecure-skip-tls.",
      });
  }
  return options;
}

/** `HOST/REPOSITORY[#REF[#COMMIT]]` by https, or by $GIT_PULL_METHOD, as our own builds name a repository. */
function gitContext(
  rest: string,
  sub: string,
  { options, env }: { options: GitOptions; env: NodeJS.ProcessEnv },
): string {
  const [repository = "", ref = "", commit = ""] = rest.split("#");
  const method = env.GIT_PULL_METHOD === "http" ? "http" : "https";
  const at = repository.indexOf("@");
  const address = at < 0 ? repository : repository.slice(at + 1);
  const url = `${method}://${address.endsWith(".git") ? address : `${address}.git`}`;
  const login = at < 0 ? gitLogin(env) : repository.slice(0, at);
  // By the environment, which git alone reads: an address is shown, and kept in the record of the build.
  const settings: [string, string][] = [];
  if (login !== undefined)
    settings.push([`http.${url}.extraHeader`, `Authorization: Basic ${Buffer.from(login).toString("base64")}`]);
  if (options.insecure) settings.push([`http.${method}://${address.split("/")[0]}/.sslVerify`, "false"]);
  let count = Number(env.GIT_CONFIG_COUNT ?? 0);
  for (const [key, value] of settings) {
    env[`GIT_CONFIG_KEY_${count}`] = key;
    env[`GIT_CONFIG_VALUE_${count}`] = value;
    count++;
  }
  if (settings.length > 0) env.GIT_CONFIG_COUNT = String(count);
  const query = new URLSearchParams({ submodules: String(options.submodules) });
  if (sub !== "") query.set("subdir", sub);
  const wanted = commit || options.branch || ref;
  if (wanted !== "") query.set("ref", wanted);
  return `${url}?${query}`;
}

function gitLogin({ GIT_TOKEN = "", GIT_USERNAME = "", GIT_PASSWORD = "" }: NodeJS.ProcessEnv): string | undefined {
  if (GIT_TOKEN !== "") return `${GIT_TOKEN}:`;
  return GIT_USERNAME === "" && GIT_PASSWORD === "" ? undefined : `${GIT_USERNAME}:${GIT_PASSWORD}`;
}
