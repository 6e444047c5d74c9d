import { writeFileSync } from "node:fs";
import { unmappedOwner } from "../layer/unmappedOwner.ts";
import { makeDirectories } from "./mountStubs.ts";
import { stepNetworkFiles } from "./networkFiles.ts";
import { type ResolvedUser, resolveUser } from "./resolveUser.ts";
import type { RunStepOptions } from "./runStep.ts";
import type { SpecMount } from "./spec.ts";

/** The name of the machine in a RUN step where nobody chose one, BuildKit's. */
const HOSTNAME = "buildkitsandbox";

export interface StepSetup {
  user: ResolvedUser;
  hostname: string;
  /** The step's own after those that every step has. */
  mounts: SpecMount[];
}

/**
 * What a step has in whatever it runs: its user, looked up; its working directory, made; its files for the network, written into `directory`.
 * @throws SlipwayError `USER_NOT_FOUND`, `GROUP_NOT_FOUND`, `ID_NOT_MAPPED`
 */
export function stepSetup(options: RunStepOptions): StepSetup {
  const { linux, directory } = options;
  const user = resolveUser(linux, options.rootfs, options.process.user);
  const unmapped = unmappedOwner(user.uid, user.gid);
  if (unmapped !== undefined) throw unmapped;
  makeDirectories(linux, options.rootfs, options.process.cwd);
  // The runtime makes them where they are missing, and they stay in the layer (BuildKit); one of them (crun) gives them modes of its own.
  for (const each of ["/proc", "/dev", "/sys"]) makeDirectories(linux, options.rootfs, each);

  const hostname = options.hostname ?? HOSTNAME;
  const own = typeof options.network === "object" ? options.network : undefined;
  const gateway = own?.hostGateway === undefined ? {} : { hostGateway: own.hostGateway };
  const files = stepNetworkFiles({ hostname, addHosts: options.hosts, ...gateway });
  writeFileSync(`${directory}/hosts`, files.hosts);
  writeFileSync(`${directory}/resolv.conf`, own?.resolvConf ?? files.resolvConf);
  // Read-only, as BuildKit's: what a step wrote there would be lost without a word.
  const mounts: SpecMount[] = [
    { target: "/etc/hosts", type: "bind", source: `${directory}/hosts`, readOnly: true },
    { target: "/etc/resolv.conf", type: "bind", source: `${directory}/resolv.conf`, readOnly: true },
    ...options.mounts,
  ];
  return { user, hostname, mounts };
}
