import { expect, test } from "bun:test";
import { countTests } from "./countTests.mjs";

test("a report's test cases are counted once, whatever suites they lie in", () => {
  const xml = `<testsuites tests="4" failures="1"><testsuite name="a" tests="4"><testsuite name="b" tests="4">
    <testcase name="passes" time="0.1" assertions="1" />
    <testcase name="holds a &gt; sign" file="a > b" time="0.1"></testcase>
    <testcase name="fails" time="0.1"><failure type="AssertionError" /></testcase>
    <testcase name="waits" time="0"><skipped /></testcase>
  </testsuite></testsuite></testsuites>`;
  expect(countTests(xml)).toEqual({ passed: 2, failed: 1, skipped: 1 });
  expect(countTests("")).toEqual({ passed: 0, failed: 0, skipped: 0 });
});
