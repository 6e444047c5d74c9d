/** Counts of a JUnit report, by its test cases: totals of nested suites would count twice. */
export function countTests(xml) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const [, empty, body] of xml.matchAll(/<testcase\b(?:[^>"]|"[^"]*")*?(?:(\/)>|>([\s\S]*?)<\/testcase>)/g)) {
    if (empty === undefined && /<(failure|error)\b/.test(body)) counts.failed++;
    else if (empty === undefined && /<skipped\b/.test(body)) counts.skipped++;
    else counts.passed++;
  }
  return counts;
}
