import { readFileSync } from "node:fs";
import { release } from "node:os";
import { describeRuntime } from "../../runtime/Runtime.ts";
import { probeRuntime } from "../../runtime/probe.ts";
import { worksByChroot } from "../../runtime/isolation.ts";
import { describeIsolation } from "../../runtime/rootless/describeIsolation.ts";
import { findDnsServer } from "../../runtime/network/dns.ts";
import { bridgeNamespacePath } from "../../runtime/network/bridgeNamespace.ts";
import { describeWayOut } from "../../runtime/network/wayOut.ts";
import { bridgeRefusal } from "../../runtime/network/probeBridge.ts";
import { describeStorage } from "../../store/describeStorage.ts";
import { type Command, text } from "../Command.ts";
import { version } from "../version.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Show how slipway works on this host: store, runtime, and why",
  example: "slipway info",
  min: 0,
  max: 0,
  flags: { format: { type: "string", short: "f", help: "json or a Go template" } },
  async run(call) {
    const { store, config } = await call.engine();
    const containers = store.containers.list();
    const byChroot = worksByChroot(config.isolation);
    const runtime = await (byChroot
      ? Promise.reject(new Error("not asked for: nothing runs in namespaces"))
      : probeRuntime(store.linux, store.settings, { runtime: config.runtime })
    ).then(
      (found) => ({ name: found.name, path: found.path, version: found.version, how: describeRuntime(found) }),
      (error: Error) => ({ name: "none", path: "", version: "", how: error.message }),
    );
    const isolation = describeIsolation(config.isolation);
    const storage = describeStorage(store);
    const refusal = byChroot ? "there are no namespaces" : await bridgeRefusal(store.linux);
    const dns = findDnsServer();
    const isUsers = refusal === undefined && bridgeNamespacePath() !== undefined;
    const way = isUsers ? `, in a network of the user's own that ${describeWayOut()} leads out of` : "";
    const network = {
      bridge: refusal === undefined,
      how: refusal ?? `bridges by netlink, firewall by nf_tables${way}`,
      dns: dns ?? "",
    };
    const about = {
      ServerVersion: version,
      DockerRootDir: store.root,
      Driver: storage.name,
      Images: store.images.list().length,
      Containers: containers.length,
      ContainersRunning: containers.filter((each) => each.status === "running").length,
      Layers: store.layers.list().length,
      Runtime: runtime,
      Network: network,
      Isolation: isolation,
      Storage: storage,
      KernelVersion: release(),
      OperatingSystem: operatingSystem(),
      Architecture: process.arch === "x64" ? "x86_64" : process.arch,
      NCPU: navigator.hardwareConcurrency,
    };
    const format = text(call, "format");
    if (format === "json") call.out(`${JSON.stringify(about)}\n`);
    else if (format !== undefined) {
      const { compileTemplate } = await import("../render/template.ts");
      call.out(`${compileTemplate(format)(about)}\n`);
    } else {
      call.out(
        [
          `Version:      ${about.ServerVersion}`,
          `Store:        ${about.DockerRootDir}`,
          `Isolation:    ${isolation.how}`,
          ...(isolation.missing === undefined ? [] : [`              better with more: ${isolation.missing}`]),
          `Storage:      ${storage.how}`,
          ...(storage.missing === undefined ? [] : [`              better with more: ${storage.missing}`]),
          `Images:       ${about.Images} (${about.Layers} layers)`,
          `Containers:   ${about.Containers} (${about.ContainersRunning} running)`,
          `Runtime:      ${runtime.name} ${runtime.version}${runtime.path === "" ? "" : ` (${runtime.path})`}`,
          `              ${runtime.how}`,
          `Networks:     ${network.bridge ? network.how : `the host's; no bridge: ${network.how}`}`,
          `              ${dns === undefined ? "no names: aardvark-dns is not installed" : `names by ${dns}`}`,
          `Kernel:       ${about.KernelVersion}`,
          `System:       ${about.OperatingSystem}, ${about.Architecture}, ${about.NCPU} processors`,
          "",
        ].join("\n"),
      );
    }
    return 0;
  },
};

function operatingSystem(): string {
  try {
    return /^PRETTY_NAME="?(.*?)"?$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "Linux";
  } catch {
    return "Linux"; // a system without the file
  }
}
