import { inUserNamespace, mappedIds, userId } from "../../linux/userNamespace.ts";
import { effectiveCapabilities, type IsolationWish, worksByChroot } from "../isolation.ts";
import { missingIds } from "./makeNamespace.ts";

/** For `slipway info`: the rung of docs/isolation.md that this process stands on, and how to come to a better one. */
export interface Isolation {
  name: "root" | "namespace" | "single-id" | "chroot" | "none";
  how: string;
  /** What keeps it from the next better rung, and the command that mends it. */
  missing?: string;
}

/** Asked inside the namespace; where none could be entered, outside. */
export function describeIsolation(wish?: IsolationWish): Isolation {
  if (worksByChroot(wish)) return byChroot(wish);
  const ranges = mappedIds();
  const user = userId();
  const ids = ranges.reduce((sum, { length }) => sum + length, 0);
  if (!inUserNamespace(ranges)) {
    if (user === 0) return { name: "root", how: "root of this machine" };
    return { name: "none", how: `uid ${user} without a user namespace: nothing can be built or run` };
  }
  if (ids > 1) return { name: "namespace", how: `root of a user namespace of ${ids} ids, on behalf of uid ${user}` };
  const missing = missingIds(user);
  return {
    name: "single-id",
    how: `root of a user namespace of one id, on behalf of uid ${user}: files and processes of others cannot be`,
    ...(missing === undefined
      ? { missing: "the namespace was made before there were more ids: end its process, or log out and in" }
      : { missing: `${missing.reason}: ${missing.remedy}` }),
  };
}

function byChroot(wish: IsolationWish | undefined): Isolation {
  const how = "root of a container without namespaces: steps run by chroot, on its network and among its processes";
  if (wish === "chroot" && effectiveCapabilities().includes("CAP_SYS_ADMIN"))
    return { name: "chroot", how, missing: "it was asked for by --isolation; without that, namespaces are taken" };
  return {
    name: "chroot",
    how,
    missing:
      "CAP_SYS_ADMIN, and mounts that are not forbidden: docker run --cap-add SYS_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined; in Kubernetes hostUsers: false with the capability SYS_ADMIN",
  };
}
