import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Bench, Scenario } from "../Bench.ts";
import { makeText, createRandom } from "../bigImage.ts";
import type { Contender } from "../measure.ts";
import { buildContenders } from "./buildContenders.ts";

const filesNoop: Scenario = {
  name: "noop-files",
  title: "COPY of 100,000 files, nothing to do",
  contenders(bench) {
    writeManyFiles(bench);
    const find = ["find", join(bench.folder, "files"), "-printf", "%T@ %s\\n"];
    return [...buildContenders(bench, "bench-files"), { name: "find", command: find }];
  },
};

const files: Scenario = {
  name: "files",
  title: "COPY of 100,000 files, cold",
  contenders(bench) {
    writeManyFiles(bench);
    return [...buildContenders(bench, "bench-files", { cache: "empty" }), copying(bench, "cp", 'cp -a "$1" "$2"')];
  },
};

const gigabyte: Scenario = {
  name: "gigabyte",
  title: "COPY of 1 GB in 200 files, cold",
  contenders(bench) {
    writeGigabyte(bench);
    const script = 'cp -a "$1" "$2" && find "$2" -type f -exec openssl dgst -sha256 {} +';
    return [
      ...buildContenders(bench, "bench-gigabyte", { cache: "empty" }),
      copying(bench, "cp + openssl dgst", script),
    ];
  },
};

/** `-o type=oci` of a build that is in the cache. Buildah and Podman write an archive by a command of their own. */
function archive(compression: "gzip" | "zstd"): Scenario {
  return {
    name: `oci-${compression}`,
    title: `that 1 GB as an OCI archive, ${compression}`,
    contenders(bench) {
      writeGigabyte(bench);
      const { folder, slipway, peers, must } = bench;
      const [own, docker, buildah] = buildContenders(bench, "bench-gigabyte");
      must((own as Contender).command, slipway.env);
      const destination = join(folder, "..", `oci-${compression}.tar`);
      const clean = () => rmSync(destination, { force: true });
      const output = ["-o", `type=oci,dest=${destination},compression=${compression},force-compression=true`];
      // What the store remembers of a compression that it has done must not serve the next run.
      const forget = () => {
        clean();
        rmSync(slipway.env.SLIPWAY_ROOT as string, { recursive: true, force: true });
        must([...slipway.command, "pull", "busybox"], slipway.env);
        must((own as Contender).command, slipway.env);
      };
      const contenders: Contender[] = [
        { ...(own as Contender), command: [...(own as Contender).command, ...output], prepare: forget },
      ];
      if (peers === undefined || docker === undefined || buildah === undefined) return contenders;
      must(docker.command);
      must(buildah.command);
      const push = ["push", "--compression-format", compression, "--force-compression", "bench-gigabyte"];
      return [
        ...contenders,
        { name: "docker", command: [...docker.command, ...output], prepare: clean },
        { name: "buildah", command: [...peers.buildah, ...push, `oci-archive:${destination}`], prepare: clean },
      ];
    },
  };
}

function copying({ folder }: Bench, name: string, script: string): Contender {
  const to = join(folder, "..", `${name.replaceAll(" ", "")}-copy`);
  return {
    name,
    command: ["sh", "-c", script, "sh", join(folder, "files"), to],
    prepare: () => rmSync(to, { recursive: true, force: true }),
  };
}

function writeManyFiles({ folder }: Bench): void {
  for (let d = 0; d < 1000; d++) {
    mkdirSync(join(folder, `files/d${d}`), { recursive: true });
    for (let f = 0; f < 100; f++)
      writeFileSync(join(folder, `files/d${d}/f${f}.txt`), `${d} ${f} ${"x".repeat((d * 7 + f * 13) % 400)}\n`);
  }
  writeFileSync(join(folder, "Dockerfile"), "FROM busybox\nCOPY files /files\n");
}

/** Half of the files are text, which compresses to somewhat less than half, and half are not to be compressed. */
function writeGigabyte({ folder }: Bench): void {
  mkdirSync(join(folder, "files"));
  const random = createRandom(1);
  const text = makeText(random, 8_000_000);
  const noise = Uint8Array.from({ length: 8_000_000 }, () => random() * 256);
  for (let f = 0; f < 200; f++) {
    const size = 2_500_000 + ((f * 37) % 200) * 25_000;
    writeFileSync(join(folder, `files/f${f}`), (f % 2 === 0 ? text : noise).subarray(f * 1000, f * 1000 + size));
  }
  writeFileSync(join(folder, "Dockerfile"), "FROM busybox\nCOPY files /files\n");
}

/** Many files, and many bytes. */
export const largeScenarios = [filesNoop, files, gigabyte, archive("gzip"), archive("zstd")];
