import { median, percentile, table } from "./figures.ts";
import type { Stack } from "./stack.ts";

const GUESTS = 4;
const REST_MS = 200;
/** Two passwords are checked at once, and a guest waits for those that have begun. The rest is the machine's, which floods itself here. */
export const TIMES_SLOWER_MAX = 15;

/**
 * People who log in, each from a network of their own, in peace and while one network logs in as often as it can. The stack believes X-Forwarded-For of this
 * machine, so that all of them are on it.
 */
export async function loginsOf(stack: Stack, ms: number) {
  const peace = await guests(stack, ms);
  const flooding = Bun.spawn([process.execPath, `${import.meta.dir}/flood-logins.ts`, stack.edge, String(ms + 1_000)], {
    stdout: "pipe",
  });
  await Bun.sleep(500);
  const beside = await guests(stack, ms);
  const flood: Record<string, number> = JSON.parse(await new Response(flooding.stdout).text());
  const row = (name: string, { done, refused, p50, p99 }: typeof peace) => [
    ...[name, String(done), String(refused)],
    ...[p50, p99].map((each) => each.toFixed(0)),
  ];
  const answers = Object.entries(flood)
    .map(([answer, times]) => `${times} x ${answer}`)
    .join(", ");
  const times = beside.p50 / peace.p50;
  const text = `Logins of ${GUESTS} people beside a flood of them from one network\n${table(
    ["", "answered", "refused", "p50 ms", "p99 ms"],
    [row("in peace", peace), row("flooded", beside)],
  )}\np50 ${times.toFixed(1)} times as long; the flood: ${answers}`;
  return { peace, beside, times, flood, text };
}

/** Wrong passwords of addresses that nobody has: as much work as right ones, and no session is left behind. */
async function guests({ edge }: Stack, ms: number) {
  const times: number[] = [];
  let refused = 0;
  const guest = async (index: number) => {
    for (const over = performance.now() + ms; performance.now() < over; await Bun.sleep(REST_MS)) {
      const started = performance.now();
      const answer = await fetch(`${edge}/v1/sessions`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-forwarded-for": `198.51.${index}.7` },
        body: JSON.stringify({ email: `guest${index}-${times.length}@bench.test`, password: "a wrong password" }),
      });
      await answer.bytes();
      if (answer.status === 401) times.push(performance.now() - started);
      else refused += 1;
    }
  };
  await Promise.all(Array.from({ length: GUESTS }, (_, index) => guest(index)));
  return { done: times.length, refused, p50: median(times), p99: percentile(Float64Array.from(times).sort(), 99) };
}
