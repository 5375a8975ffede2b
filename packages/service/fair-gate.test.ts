import { expect, test } from "bun:test";
import { ConnectError } from "@connectrpc/connect";
import { reasonOf } from "./errors.ts";
import { createFairGate, type Turn } from "./fair-gate.ts";

const never = new AbortController().signal;
const from = (key: string, more: Partial<Turn> = {}): Turn => ({ key, known: false, signal: never, ...more });

/** A gate whose works end when the test says so; `done` has who was let through, in order. */
function bench(atOnce: number, waitingMax: number) {
  const gate = createFairGate(atOnce, waitingMax, "too many");
  const done: string[] = [];
  const ends: (() => void)[] = [];
  const ask = (turn: Turn) =>
    gate
      .pass(turn, () => {
        done.push(turn.key);
        return new Promise<void>((resolve) => ends.push(resolve));
      })
      .then(
        () => "done",
        (error: unknown) => (error instanceof ConnectError ? reasonOf(error) : String(error)),
      );
  /** Ends the work that runs longest, and lets the next begin. */
  async function step() {
    ends.shift()?.();
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  }
  return { ask, done, step };
}

test("turns go round: who asks a hundred times does not keep waiting who asks once", async () => {
  const { ask, done, step } = bench(1, 200);
  for (let i = 0; i < 100; i++) void ask(from("many"));
  void ask(from("one"));
  void ask(from("two"));
  for (let i = 0; i < 4; i++) await step();
  expect(done).toEqual(["many", "many", "one", "two", "many"]);
});

test("a full queue takes newcomers in the place of its longest queue's last; who fills it is refused", async () => {
  const { ask, done, step } = bench(1, 10);
  const flood = Array.from({ length: 11 }, () => ask(from("flood")));
  expect(await ask(from("flood"))).toBe("BUSY");
  void ask(from("guest"));
  expect(await flood.at(-1)).toBe("BUSY");
  for (let i = 0; i < 3; i++) await step();
  expect(done).toContain("guest");
});

test("however many networks of strangers wait, known ones have a place and every second turn", async () => {
  const { ask, done, step } = bench(1, 10);
  for (let i = 0; i < 11; i++) void ask(from(`stranger ${i}`));
  expect(await ask(from("stranger late"))).toBe("BUSY");
  void ask(from("ann", { known: true }));
  void ask(from("bob", { known: true }));
  for (let i = 0; i < 4; i++) await step();
  expect(done).toEqual(["stranger 0", "ann", "stranger 1", "bob", "stranger 2"]);
});

test("who hangs up leaves the queue, and his work is not done", async () => {
  const { ask, done, step } = bench(1, 2);
  void ask(from("first"));
  const gone = new AbortController();
  const left = [ask(from("gone", { signal: gone.signal })), ask(from("gone", { signal: gone.signal }))];
  gone.abort(new Error("hung up"));
  expect(await Promise.all(left)).toEqual(["Error: hung up", "Error: hung up"]);
  void ask(from("next"));
  await step();
  expect(done).toEqual(["first", "next"]);
});

test("a work that fails gives its place on", async () => {
  const gate = createFairGate(1, 5, "too many");
  await expect(gate.pass(from("a"), () => Promise.reject(new Error("failed")))).rejects.toThrow("failed");
  expect(await gate.pass(from("b"), async () => "done")).toBe("done");
});
