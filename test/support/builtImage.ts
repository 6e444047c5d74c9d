import { createLinux } from "../../src/linux/createLinux.ts";
import { createTarReader, type TarEntry } from "../../src/layer/tarReader.ts";
import type { ImageConfig } from "../../src/oci/config.ts";
import type { Digest } from "../../src/oci/digest.ts";
import { openStore } from "../../src/store/openStore.ts";
import { packTree } from "./layerTar.ts";
import type { Slipway } from "./withSlipway.ts";

/** One file of a layer, as its tar has it. */
export interface BuiltFile extends TarEntry {
  text: string;
}

export interface BuiltImage {
  config: ImageConfig;
  /** The files that each layer lists, by path without slashes at its ends. */
  layers: Map<string, BuiltFile>[];
  /** `type mode uid:gid text-or-target` of every file above `skip` layers, later ones over earlier ones; what is no text is `binary`. */
  tree(skip?: number): Record<string, string>;
  /** The topmost file of that path. */
  file(path: string): BuiltFile;
  /** created_by of the entries, the oldest first. */
  history: string[];
  /** All that the build said. */
  shown: string;
}

/** Builds `dockerfile` with the test's directory as its context, and reads what came out. */
export async function buildImage(
  slipway: Slipway,
  dockerfile: string,
  options: { args?: string[]; context?: string; env?: Record<string, string> } = {},
): Promise<BuiltImage> {
  const { stdout, stderr } = await slipway.run(
    ["build", "--progress=plain", "-t", "built", ...(options.args ?? []), "-f", "-", options.context ?? "."],
    { input: dockerfile, ...(options.env === undefined ? {} : { env: options.env }) },
  );
  return { ...readImage(slipway, "docker.io/library/built:latest"), shown: stdout + stderr };
}

/** The image of that canonical name. */
export function readImage(slipway: Slipway, name: string): Omit<BuiltImage, "shown"> {
  const linux = createLinux();
  const store = openStore({ root: slipway.root, linux });
  try {
    const id = store.images.byTag(name)?.id as Digest;
    const config = JSON.parse(Buffer.from(store.blobs.read(id)).toString()) as ImageConfig;
    const layers = config.rootfs.diff_ids.map((diffID) =>
      filesOf(packTree(linux, store.layers.require(diffID as Digest).path)),
    );
    const merged = (skip: number): Map<string, BuiltFile> => new Map(layers.slice(skip).flatMap((files) => [...files]));
    return {
      config,
      layers,
      history: (config.history ?? []).map((entry) => entry.created_by ?? ""),
      tree: (skip = 0) =>
        Object.fromEntries(
          [...merged(skip)].sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, at]) => [path, lineOf(at)]),
        ),
      file(path) {
        const found = merged(0).get(path);
        if (found === undefined) throw new Error(`no ${path} among ${[...merged(0).keys()].join(" ")}`);
        return found;
      },
    };
  } finally {
    store.close();
  }
}

function lineOf({ type, mode, uid, gid, text, linkname }: BuiltFile): string {
  const what = type === "symlink" || type === "hardlink" ? `-> ${linkname}` : text;
  const short = /[\0-\x08\ufffd]/.test(what) ? "binary" : what.length > 60 ? `${what.length} bytes` : what;
  return `${type} ${mode.toString(8)} ${uid}:${gid} ${short}`.trimEnd();
}

/** The files of a tar, by path without slashes at its ends. */
export function filesOf(tar: Uint8Array): Map<string, BuiltFile> {
  const files = new Map<string, BuiltFile>();
  let current: BuiltFile | undefined;
  let data: Uint8Array[] = [];
  const reader = createTarReader({
    entry(entry) {
      current = { ...entry, text: "" };
      data = [];
    },
    data: (chunk) => void data.push(chunk.slice()),
    hole: (length) => void data.push(new Uint8Array(length)),
    end() {
      if (current === undefined) return;
      current.text = Buffer.concat(data).toString();
      files.set(current.path.replace(/^(\.?\/)+|\/+$/g, ""), current);
    },
  });
  reader.push(tar);
  reader.finish();
  return files;
}
