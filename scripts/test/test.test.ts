import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { paths } from "../tree.ts";
import { askAgain } from "./again.ts";
import { bodyOf, countsOf, failuresIn, skippedIn, sumOf } from "./counts.ts";
import { apart, chosen, deal, SECONDS } from "./deal.ts";
import { type Batch, runLanes } from "./lanes.ts";

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

  test("adds up what several processes counted", () => {
    const sum = sumOf([
      { passed: 2, failed: 0, skipped: 1 },
      { passed: 3, failed: 4, skipped: 0 },
    ]);
    expect(sum).toEqual({ passed: 5, failed: 4, skipped: 1 });
  });
});

describe("the files", () => {
  const many = Array.from({ length: 40 }, (_, at) => `services/many/${at}.test.ts`);
  const all = [...Object.keys(SECONDS), ...many];

  test("are dealt whole: none is lost, none comes twice", () => {
    expect(deal(all).flat().toSorted()).toEqual(all.toSorted());
  });

  test("that take long begin first and alone, short ones share a process", () => {
    const [first, second] = deal(all);
    expect([first, second]).toEqual([["tests/chaos/chaos.test.ts"], ["tests/apart/apart.test.ts"]]);
    expect(deal(many).length).toBeLessThan(many.length / 4);
  });

  test("that are known to take long are there", () => {
    const there = new Set(paths());
    expect(Object.keys(SECONDS).filter((file) => !there.has(file))).toEqual([]);
  });

  test("are chosen by any part of their path, or by its beginning", () => {
    const tree = ["services/order/order.test.ts", "tests/stories/order-life.test.ts"];
    expect(chosen(tree, [])).toEqual(tree);
    expect(chosen(tree, ["order"])).toEqual(tree);
    expect(chosen(tree, ["./services/"])).toEqual(["services/order/order.test.ts"]);
    expect(chosen(tree, ["payment"])).toEqual([]);
  });
});

describe("several processes side by side", () => {
  const folder = mkdtempSync(join(tmpdir(), "bodega-lanes-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const write = (name: string, text: string) =>
    Bun.write(join(folder, name), `import { expect, test } from "bun:test";\n${text}`);

  test("run every file once, and one that fails, dies or does not load hides no other", async () => {
    await write(
      "a.test.ts",
      `test("a holds", () => { console.log("a word"); expect(process.env["LANE"]).toBe("own"); });`,
    );
    await write("b.test.ts", `test("b holds", () => {});\ntest("b breaks", () => expect(1).toBe(2));`);
    await write("c.test.ts", `test("c holds", () => {});\ntest("c dies", () => process.kill(process.pid, "SIGKILL"));`);
    await write("d.test.ts", `import "./nowhere.ts";\ntest("d", () => {});`);
    await write("e.test.ts", `test.skip("e (there is no e here)", () => {});\ntest("another", () => {});`);
    const told: string[][] = [];
    const done = await runLanes([["c.test.ts"], ["a.test.ts", "b.test.ts"], ["d.test.ts"], ["e.test.ts"]], {
      count: 2,
      cwd: folder,
      open: async () => ({ LANE: "own" }),
      tell: ({ files }) => told.push(files),
    });
    expect(told).toHaveLength(4);
    const of = (file: string): Batch => done.find(({ files }) => files.includes(file)) ?? fail(file);
    expect(of("b.test.ts").counts).toEqual({ passed: 2, failed: 1, skipped: 0 });
    expect(of("c.test.ts").counts).toEqual({ passed: 1, failed: 1, skipped: 0 });
    expect(of("d.test.ts").counts).toEqual({ passed: 0, failed: 1, skipped: 0 });
    expect(of("e.test.ts").counts).toEqual({ passed: 1, failed: 0, skipped: 1 });
    const { body } = of("a.test.ts");
    expect(body).toMatch(/^a\.test\.ts:\na word\n\(pass\) a holds.*\n\nb\.test\.ts:\n/);
    expect(body).toMatch(/\(fail\) b breaks.*$/);
    expect(failuresIn(body)).toEqual([
      expect.stringMatching(/^b\.test\.ts:\n[\s\S]*Expected: 2[\s\S]*\(fail\) b breaks/),
    ]);
    expect(failuresIn(body).join()).not.toContain("a holds");
    expect(of("c.test.ts").body).toContain("c.test.ts: ended with SIGKILL");
    expect(failuresIn(of("d.test.ts").body)).toEqual([expect.stringContaining("nowhere.ts")]);
    expect(skippedIn(of("e.test.ts").body)).toEqual(["1 skipped: there is no e here"]);
  });

  test("Bun's own lists and totals are cut off, and nothing else", () => {
    const said = `bun test v1.4.5 (a7733435c)\n\na.test.ts:\n(pass) one\n(fail) two\n\n1 tests skipped:\n(skip) s\n\n\n1 tests failed:\n(fail) two\n\n 1 pass\n 1 fail\nRan 2 tests across 1 file. [1ms]\n`;
    expect(bodyOf(said)).toBe("a.test.ts:\n(pass) one\n(fail) two");
    expect(bodyOf(said.replace(/\n1 tests skipped[\s\S]*?\n\n 1/, "\n\n 1"))).toBe(
      "a.test.ts:\n(pass) one\n(fail) two",
    );
  });

  function fail(file: string): never {
    throw new Error(`no batch had ${file}`);
  }
});

describe("what fails beside others", () => {
  const batch = (file: string, failed: number): Batch => ({
    files: [file],
    counts: { passed: 1, failed, skipped: 0 },
    body: "",
    seconds: 1,
  });
  const ask = async (first: Batch[], secondFails: (file: string) => boolean) => {
    const asked: string[] = [];
    const outcome = await askAgain(first, async (batches) => {
      asked.push(...batches.flat());
      return batches.flatMap((files) => files.map((file) => batch(file, secondFails(file) ? 1 : 0)));
    });
    const failed = outcome.done.filter(({ counts }) => counts.failed > 0).flatMap(({ files }) => files);
    return { asked, failed, unsteady: outcome.unsteady.flatMap(({ files }) => files), count: outcome.done.length };
  };

  test("is asked again, and what fails twice has failed", async () => {
    const first = [batch("a.test.ts", 0), batch("b.test.ts", 1), batch("c.test.ts", 1)];
    expect(await ask(first, (file) => file === "c.test.ts")).toEqual({
      asked: ["b.test.ts", "c.test.ts"],
      failed: ["c.test.ts"],
      unsteady: ["b.test.ts"],
      count: 3,
    });
  });

  test("is not asked again where it counts orders, nor when it is much", async () => {
    const counting = ["tests/chaos/chaos.test.ts", "tests/apart/points.test.ts", "tests/stories/order-life.test.ts"];
    const many = ["a", "b", "c", "d"].map((name) => `${name}.test.ts`);
    for (const files of [counting, many]) {
      const outcome = await ask(
        files.map((file) => batch(file, 1)),
        () => false,
      );
      expect(outcome).toEqual({ asked: [], failed: files, unsteady: [], count: files.length });
    }
  });
});

test("what starts a dozen processes and kills them runs alone, after the others", () => {
  const files = [
    "tests/apart/clocks.test.ts",
    "tests/chaos/chaos.test.ts",
    "tests/chaos/start-up.test.ts",
    "a.test.ts",
  ];
  expect(apart(files)).toEqual({ alone: files.slice(0, 2), others: files.slice(2) });
});
