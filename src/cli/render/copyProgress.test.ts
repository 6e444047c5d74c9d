import { expect, test } from "bun:test";
import { sha256 } from "../../oci/digest.ts";
import { createCopyProgress } from "./copyProgress.ts";

const [a, b, c] = ["a", "b", "c"].map((text) => sha256(text)) as [
  `sha256:${string}`,
  `sha256:${string}`,
  `sha256:${string}`,
];
const short = (digest: string): string => digest.slice(7, 19);

test("a copy tells of each blob once, whether it goes past the store, into it or out of it", () => {
  let text = "";
  const progress = createCopyProgress({ write: (more) => (text += more) });
  progress.event({ type: "copy.blob", digest: a, status: "copying", current: 1, total: 2 });
  progress.event({ type: "copy.blob", digest: a, status: "copied" });
  progress.event({ type: "pull.layer", digest: b, status: "extracting" });
  progress.event({ type: "pull.layer", digest: b, status: "done" });
  progress.event({ type: "push.layer", diffID: c, status: "mounted", from: "x" });
  progress.event({ type: "push.layer", diffID: c, status: "preparing" });
  progress.event({ type: "copy.blob", digest: a, status: "exists" });
  progress.finish();
  expect(text).toBe(`${short(a)}: Copied\n${short(b)}: Copied\n${short(c)}: Mounted\n`);
});

test("on a terminal the lines are drawn over in place, with a bar while a blob goes", () => {
  let text = "";
  const progress = createCopyProgress({ write: (more) => (text += more), size: () => ({ columns: 100, rows: 10 }) });
  progress.event({ type: "copy.blob", digest: a, status: "copying", current: 50, total: 100 });
  expect(text).toContain(`${short(a)}: Copying [${"=".repeat(24)}>${" ".repeat(24)}] 50B/100B`);
  progress.event({ type: "copy.blob", digest: a, status: "copied" });
  progress.finish();
  expect(text).toContain(`${short(a)}: Copied`);
});
