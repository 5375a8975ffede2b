import { describe, expect, test } from "bun:test";
import { countsOf } from "./test.ts";

describe("the closing line of bun run test", () => {
  test("counts what Bun's summary counts, a crashed file and a todo included", () => {
    const said =
      "(pass) a\n\n 2 pass\n 1 skip\n 1 todo\n 5 fail\n 2 errors\n 1 expect() calls\nRan 9 tests across 5 files. [27.00ms]\n";
    expect(countsOf(said, 1)).toEqual({ passed: 2, failed: 5, skipped: 2 });
  });

  test("sees through colours", () => {
    const said = "\u001b[32m 3 pass\u001b[0m\n\u001b[2m 0 fail\u001b[0m\nRan 3 tests across 1 file. [1.00ms]\n";
    expect(countsOf(said, 0)).toEqual({ passed: 3, failed: 0, skipped: 0 });
  });

  test("is not taken in by a test that prints a summary of its own", () => {
    const own = " 9 pass\n 0 fail\nnot the end\n";
    expect(countsOf(`${own} 1 pass\n 1 fail\nRan 2 tests across 1 file. [1ms]\n`, 1).passed).toBe(1);
  });

  test("counts a run that died as a failure, and what it had done until then", () => {
    expect(countsOf("(pass) a [0.1ms]\n(pass) b\n(fail) c\n", 137)).toEqual({ passed: 2, failed: 2, skipped: 0 });
  });

  test("turns an exit code that no failure explains into a failure", () => {
    expect(countsOf(" 3 pass\n 0 fail\nRan 3 tests across 1 file. [1.00ms]\n", 1).failed).toBe(1);
    expect(countsOf("The following filters did not match any test files:\n", 1)).toEqual({
      passed: 0,
      failed: 1,
      skipped: 0,
    });
  });
});
