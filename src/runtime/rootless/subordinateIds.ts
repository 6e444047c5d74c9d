import type { IdRange } from "../../linux/userNamespace.ts";
import { readOr } from "../readOr.ts";

/** How many ids images and programs expect there to be: 0 to 65535. */
export const USUAL_IDS = 65536;

export interface SubordinateIds {
  users: IdRange[];
  groups: IdRange[];
}

/** What /etc/subuid and /etc/subgid give a user (subuid(5)), as it is mapped: the user is root, the ranges follow from 1 on, in the order of the files. */
export function subordinateIds(user: { id: number; group: number; name: string }): SubordinateIds {
  const ranges = (file: string, own: number): IdRange[] => {
    const mapped: IdRange[] = [{ inside: 0, outside: own, length: 1 }];
    let inside = 1;
    for (const { outside, length } of parseSubordinates(readOr(file), user)) {
      mapped.push({ inside, outside, length });
      inside += length;
    }
    return mapped;
  };
  return { users: ranges("/etc/subuid", user.id), groups: ranges("/etc/subgid", user.group) };
}

/** `NAME:FIRST:COUNT` a line, the user by name or number. */
export function parseSubordinates(
  text: string,
  user: { id: number; name: string },
): { outside: number; length: number }[] {
  return text.split("\n").flatMap((line) => {
    const [who, first, count] = line.trim().split(":");
    if (who !== user.name && who !== String(user.id)) return [];
    const [outside, length] = [Number(first), Number(count)];
    return Number.isSafeInteger(outside) && Number.isSafeInteger(length) && outside > 0 && length > 0
      ? [{ outside, length }]
      : [];
  });
}

/** The name that /etc/passwd gives a user, "" where it has none. */
export function userName(id: number, passwd = readOr("/etc/passwd")): string {
  for (const line of passwd.split("\n")) {
    const [name = "", , uid] = line.split(":");
    if (uid === String(id)) return name;
  }
  return "";
}
