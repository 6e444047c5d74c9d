/** Resolves when it holds; throws after ten seconds. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 10_000; !(await holds()); await Bun.sleep(20)) {
    if (Date.now() > end) throw new Error(`it does not come true: ${holds}`);
  }
}
