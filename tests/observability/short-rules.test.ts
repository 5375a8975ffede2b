import { expect, test } from "bun:test";
import { alertNames, ruleFiles } from "../../observability/rules.ts";
import { ROUNDS } from "./rounds.ts";
import { shorten } from "./short-rules.ts";

interface Rules {
  groups: { rules: { alert?: string; expr: string; for?: string; keep_firing_for?: string }[] }[];
}

const rulesOf = (text: string) => (Bun.YAML.parse(text) as Rules).groups.flatMap(({ rules }) => rules);

test("shortened rules wait and look back so many times shorter, and nothing else of them is other", () => {
  for (const text of Object.values(ruleFiles())) {
    const [long, short] = [rulesOf(text), rulesOf(shorten(text, 30))];
    const without = (rules: typeof long) =>
      rules.map(({ for: _, keep_firing_for: __, expr, ...rest }) => ({
        ...rest,
        expr: expr.replaceAll(/\[\w+\]/g, "[]"),
      }));
    expect(without(short)).toEqual(without(long));
  }
  const [rule] = rulesOf(
    shorten(
      `groups: [{ name: a, rules: [{ alert: A, expr: "rate(b[5m]) > 60", for: 2m, keep_firing_for: 10m }] }]`,
      30,
    ),
  );
  expect(rule).toEqual({ alert: "A", expr: "rate(b[10000ms]) > 60", for: "4000ms", keep_firing_for: "20000ms" });
  expect(() => shorten(`groups: [{ name: a, rules: [{ expr: b, for: soon }] }]`, 30)).toThrow("found soon");
});

test("faults are about alerts that there are", () => {
  const named = ROUNDS.flat().flatMap(({ alerts, later = [], follows = [] }) => [...alerts, ...later, ...follows]);
  expect(named.filter((name) => !alertNames().includes(name))).toEqual([]);
});
