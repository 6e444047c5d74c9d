/** Resolves when it holds; throws after `seconds`. */
export async function until(holds: () => Promise<boolean> | boolean, seconds = 20): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited ${seconds} s in vain`);
    await Bun.sleep(30);
  }
}
