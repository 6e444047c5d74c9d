import { expect, test } from "bun:test";
import { constants } from "node:os";
import { errno, errnoName } from "./errno.ts";

test("the errors that we know by number have the kernel's numbers and names, and so have all others", () => {
  for (const [name, number] of Object.entries(errno)) {
    expect(constants.errno as Record<string, number>).toMatchObject({ [name]: number });
    expect(errnoName(number)).toBe(name);
  }
  expect(errnoName(constants.errno.ECONNREFUSED)).toBe("ECONNREFUSED");
  expect(errnoName(4000)).toBe("errno 4000");
});
