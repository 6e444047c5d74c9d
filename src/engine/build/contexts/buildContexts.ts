import { SlipwayError } from "../../../oci/SlipwayError.ts";
import type { NamedContext } from "../../../plan/PlanOptions.ts";
import type { FetchContext } from "../../../solve/SolveContext.ts";
import type { FileTree } from "../../../solve/tree/FileTree.ts";
import type { Lease } from "../../../store/Store.ts";
import type { BuildOptions, Engine } from "../../Engine.ts";
import type { Vertices } from "../vertices.ts";
import { type NamedContextSource, parseContext, parseNamedContext, type RemoteSource } from "./contextSource.ts";
import { checkedDockerfile, type DockerfileSource, readDockerfile, readDockerfileOf } from "./loadDockerfile.ts";
import type { RemoteContext } from "./remoteContext.ts";
import { contextDirectory, type IgnoreFile, loadIgnoreFile, openDirectory } from "./localContext.ts";

/** All that a build takes its files from. */
export interface BuildContexts {
  readonly dockerfile: DockerfileSource;
  /** The main context's real path, where it is a directory of this machine. */
  readonly directory: string | undefined;
  /** Of the main context; empty where it came from elsewhere. */
  readonly ignore: IgnoreFile;
  /** For the planner: what `--build-context` names. */
  readonly named: Record<string, NamedContext>;
  /** OCI layouts by the reference that the planner is given for them. */
  readonly layouts: ReadonlyMap<string, NamedContextSource & { type: "layout" }>;
  /** When the context was made, in seconds, where its source says: never of a directory. Undefined also for a name that there is not. */
  made(name: string): Promise<number | undefined>;
  /** Opens the context which the plan calls so; "context" is the main one. Each is asked for once. */
  open(name: string): Promise<FileTree>;
  /** Keeps what was learned about the files for the next build. */
  save(): void;
  /** Names this build among others of the same store. */
  readonly project: string;
}

/**
 * Reads the Dockerfile, and fetches the main context first where it is not a directory of this machine. Named contexts wait until a step
 * wants them.
 * @throws SlipwayError `CONTEXT_NOT_FOUND`, `DOCKERFILE_NOT_FOUND`, `DOCKERFILE_EMPTY`, `INVALID_CONTEXT` and those of the fetch steps
 */
export async function openContexts(
  engine: Engine,
  options: BuildOptions,
  work: { lease: Lease; vertices: Vertices },
): Promise<BuildContexts> {
  const { store } = engine;
  const { lease, vertices } = work;
  const main = parseContext(options.context);
  const stdin = options.file === "-";
  if (stdin && main.type === "stdin")
    throw new SlipwayError("INVALID_CONTEXT", "can't use stdin for both build context and dockerfile");
  const named = new Map(
    Object.entries(options.buildContexts ?? {}).map(([name, text]) => [name, parseNamedContext(name, text)]),
  );
  const fetching: FetchContext = {
    store,
    linux: store.linux,
    lease,
    signal: engine.signal,
    emit: (event) => vertices.solving(event),
  };
  const opened: FileTree[] = [];
  const fetchedNamed = new Map<string, Promise<RemoteContext>>();
  const keepGitDir = /^(1|t|true)$/i.test(options.buildArgs.BUILDKIT_CONTEXT_KEEP_GIT_DIR ?? "");
  const remote = async (source: RemoteSource, id: string, name?: string) => {
    const { fetchContext } = await import("./remoteContext.ts");
    return fetchContext(fetching, source, {
      id,
      keepGitDir,
      ...(name === undefined ? {} : { name }),
      ...(options.stdin === undefined ? {} : { stdin: options.stdin() }),
    });
  };

  const directory = main.type === "directory" ? contextDirectory(main.path) : undefined;
  const fetched = main.type === "directory" ? undefined : await remote(main, "context");
  const fileText = options.file ?? "Dockerfile";
  const dockerfile = await vertices.internal("[internal] load build definition from Dockerfile", async () => {
    if (stdin) {
      const text = await new Response(options.stdin?.()).text();
      return checkedDockerfile({ text, name: "Dockerfile", path: undefined });
    }
    if (/^https?:\/\//.test(fileText)) {
      const { tree } = await remote({ type: "url", url: fileText }, "dockerfile", `[internal] load ${fileText}`);
      return { ...readDockerfileOf(store.linux, tree, "context"), name: fileText };
    }
    if (fetched === undefined) return readDockerfile(options.context, options.file);
    return readDockerfileOf(store.linux, fetched.tree, fetched.dockerfile ?? fileText);
  });
  const ignore: IgnoreFile =
    directory === undefined ? { name: undefined, text: "", patterns: [] } : loadIgnoreFile(directory, dockerfile.path);

  async function open(name: string): Promise<FileTree> {
    if (name === "context" && fetched !== undefined) return fetched.tree;
    if (name === "context") {
      await vertices.internal("[internal] load .dockerignore", async () => undefined);
      return vertices.internal("[internal] load build context", async () =>
        local(directory as string, ignore.patterns),
      );
    }
    const source = named.get(name);
    if (source === undefined || source.type === "image" || source.type === "layout")
      throw new Error(`no tree of files is named ${name}`);
    if (source.type !== "directory") return (await remoteNamed(name, source)).tree;
    return vertices.internal(`[context ${name}] load from client`, async () => {
      const path = contextDirectory(source.path);
      return local(path, loadIgnoreFile(path, undefined).patterns);
    });
  }

  /** Fetched once. */
  function remoteNamed(name: string, source: RemoteSource): Promise<RemoteContext> {
    let found = fetchedNamed.get(name);
    if (found === undefined) {
      found = remote(source, `context ${name}`, `[context ${name}] ${options.buildContexts?.[name]}`);
      fetchedNamed.set(name, found);
    }
    return found;
  }

  function local(path: string, patterns: readonly string[]): FileTree {
    const tree = openDirectory(store, path, patterns);
    opened.push(tree);
    return tree;
  }

  return {
    dockerfile,
    directory,
    ignore,
    named: Object.fromEntries([...named].map(([name, source]) => [name, planned(name, source)])),
    layouts: new Map(
      [...named].flatMap(([name, source]) => (source.type === "layout" ? [[layoutReference(name), source]] : [])),
    ),
    async made(name) {
      if (name === "context") return fetched?.made?.();
      const source = named.get(name);
      if (source === undefined || (source.type !== "git" && source.type !== "url")) return undefined;
      return (await remoteNamed(name, source)).made?.();
    },
    project: `${directory ?? options.context}\0${dockerfile.path ?? "-"}`,
    open,
    save() {
      for (const { digests } of opened) digests.save();
    },
  };
}

function planned(name: string, source: NamedContextSource): NamedContext {
  if (source.type === "image") return { type: "image", reference: source.reference };
  if (source.type === "layout") return { type: "image", reference: layoutReference(name) };
  return { type: "tree", context: name };
}

function layoutReference(name: string): string {
  return `oci-layout://${name}`;
}
