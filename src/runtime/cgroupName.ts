const PARENT = "slipway";

/**
 * The group's path in its tree. It is never the tree's root that holds it: systemd takes controllers away from groups there, and the limits
 * with them, whenever its own units need none; below a group of ours it cannot.
 */
export function cgroupName(id: string, parent = PARENT): string {
  return `${parent.replace(/^\/+|\/+$/g, "") || PARENT}/${id}`;
}
