import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Bench, Scenario } from "../Bench.ts";
import { buildContenders } from "./buildContenders.ts";

const dockerfile = `FROM busybox AS build
WORKDIR /src
COPY package.txt .
RUN wc -c package.txt > deps
COPY src src
RUN find src -type f | sort | xargs cat > /bundle
RUN sha256sum /bundle deps > /bundle.sum
FROM busybox
ENV MODE=production
WORKDIR /app
COPY --from=build /bundle /bundle.sum ./
COPY static static
RUN mkdir /data && chown 1000 /data
USER 1000
CMD ["cat", "/app/bundle.sum"]
`;

const noop: Scenario = {
  name: "noop-app",
  title: "app10 (two stages, 1,000 files), nothing to do",
  contenders(bench) {
    writeApp(bench);
    return buildContenders(bench, "bench-app");
  },
};

const changed: Scenario = {
  name: "changed",
  title: "app10, one file changed",
  contenders(bench) {
    writeApp(bench);
    let times = 0;
    return buildContenders(bench, "bench-app", {
      prepare: () => writeFileSync(join(bench.folder, "src/d3/f7.js"), `// change ${++times}\n`),
    });
  },
};

const cold: Scenario = {
  name: "app",
  title: "app10, cold",
  contenders(bench) {
    writeApp(bench);
    return buildContenders(bench, "bench-app", { cache: "empty" });
  },
};

function writeApp({ folder }: Bench): void {
  writeFileSync(join(folder, "Dockerfile"), dockerfile);
  writeFileSync(join(folder, "package.txt"), "dependencies\n".repeat(100));
  for (const [top, directories] of [
    ["src", 9],
    ["static", 1],
  ] as const) {
    for (let d = 0; d < directories; d++) {
      mkdirSync(join(folder, `${top}/d${d}`), { recursive: true });
      for (let f = 0; f < 100; f++)
        writeFileSync(
          join(folder, `${top}/d${d}/f${f}.js`),
          `export const f${f} = ${d};\n`.repeat(20 + ((f * 7) % 90)),
        );
    }
  }
}

/** An everyday project. */
export const appScenarios = [noop, changed, cold];
