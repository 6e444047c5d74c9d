import { mkdirSync } from "node:fs";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { pastaFolder, pastaPidFile } from "./endPasta.ts";
import { isPastaUsable, runPasta } from "./wayOut.ts";

/** At these a namespace that pasta serves finds the host's DNS server and the host itself, wherever they are: for links of one's own, RFC 3927. */
export const PASTA_DNS = "169.254.1.1";
export const PASTA_HOST = "169.254.1.2";

export interface PastaPort {
  protocol: "tcp" | "udp";
  hostAddress: string;
  hostPort: number;
  port: number;
}

/**
 * Gives the network namespace at `path` the host's own addresses and way out, by a pasta of its own, which leads the ports, too. It is there when this returns,
 * until `endPasta`. @throws SlipwayError `WAY_OUT_FAILED`, `PASTA_MISSING`
 */
export function startPasta(id: string, path: string, ports: readonly PastaPort[]): void {
  if (!isPastaUsable())
    throw new SlipwayError(
      "PASTA_MISSING",
      "this network needs pasta of September 2024 or later, which is not installed",
      {
        hint: "Install it: apt-get install passt. Without a --network there are bridges, which slirp4netns can lead out of, too.",
        exitCode: 125,
      },
    );
  mkdirSync(pastaFolder(), { recursive: true, mode: 0o700 });
  const forwarded = (protocol: "tcp" | "udp", option: string): string[] => {
    const some = ports.filter((each) => each.protocol === protocol);
    // An address is followed by a slash; without one it is all of them.
    const text = ({ hostAddress, hostPort, port }: PastaPort): string =>
      `${hostAddress === "0.0.0.0" ? "" : `${hostAddress}/`}${hostPort}:${port}`;
    return some.length === 0 ? [option, "none"] : some.flatMap((each) => [option, text(each)]);
  };
  const known = ["--dns-forward", PASTA_DNS, "--map-guest-addr", PASTA_HOST];
  const options = [...known, "--ns-ifname", "eth0", ...forwarded("tcp", "-t"), ...forwarded("udp", "-u")];
  // The namespace is named by a process that goes: pasta must not take that for the namespace's end.
  runPasta([...options, "--no-netns-quit", "--netns", path], pastaPidFile(id));
}
