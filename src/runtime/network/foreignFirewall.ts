import type { Linux } from "../../linux/Linux.ts";
import { accept, device, openNftables } from "./nftables.ts";

const FAMILIES = ["ip", "ip6"] as const;

/**
 * Lets the bridges' packets through a firewall of others that drops what it does not know: Docker's, ufw's, whose FORWARD chain of iptables (kept in
 * nf_tables) has the policy to drop. A packet has to be accepted by every table, so ours alone cannot. In DOCKER-USER, which is there for that, else in FORWARD,
 * stand two rules a bridge, with a comment that says whose they are; those of bridges that are gone are taken away. Nothing is done where nothing is dropped.
 */
export function passForeignFirewall(linux: Linux, bridges: readonly string[], namespace?: number): void {
  const nftables = openNftables(linux, namespace);
  try {
    for (const family of FAMILIES) {
      if (nftables.policy(family, "filter", "FORWARD") !== "drop") continue;
      const user = { family, table: "filter", chain: "DOCKER-USER" };
      const chain = nftables.hasChain(user) ? user : { ...user, chain: "FORWARD" };
      const found = nftables.commentedRules(chain).filter(({ comment }) => comment.startsWith(PREFIX));
      const wanted = bridges.flatMap((name) => [
        { comment: `${PREFIX}from ${name}`, rule: [...device("iifname", name), ...accept] },
        { comment: `${PREFIX}to ${name}`, rule: [...device("oifname", name), ...accept] },
      ]);
      nftables.changeRules(chain, {
        add: wanted.filter(({ comment }) => !found.some((each) => each.comment === comment)),
        remove: found.filter(({ comment }) => !wanted.some((each) => each.comment === comment)),
      });
    }
  } finally {
    nftables.close();
  }
}

const PREFIX = "slipway ";
