import { inUserNamespace, mappedIds, userId } from "../../linux/userNamespace.ts";
import { missingIds } from "./makeNamespace.ts";

/** For `slipway info`: the rung of docs/isolation.md that this process stands on, and how to come to a better one. */
export interface Isolation {
  name: "root" | "namespace" | "single-id" | "none";
  how: string;
  /** What keeps it from the next better rung, and the command that mends it. */
  missing?: string;
}

/** Asked inside the namespace; where none could be entered, outside. */
export function describeIsolation(): Isolation {
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
