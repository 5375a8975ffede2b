import { afterEach, expect, test } from "bun:test";
import { errorCode } from "./database.ts";
import { createPulse, type Pulse } from "./pulse.ts";

const open: Pulse[] = [];
afterEach(async () => {
  for (const pulse of open.splice(0)) await pulse.close();
});

/** Somebody waits for an answer, until the pulse says otherwise; `ask` is the trivial question. */
function waitFor(ask: () => Promise<unknown>) {
  const seen = { asked: 0, foundSilent: 0 };
  const pulse = createPulse({
    ask() {
      seen.asked += 1;
      return ask();
    },
    foundSilent() {
      seen.foundSilent += 1;
    },
  });
  open.push(pulse);
  const answer = Promise.withResolvers<string>();
  const waited = pulse.unlessSilent(() => answer.promise).catch((error: unknown) => errorCode(error));
  return { seen, answer, waited, pulse };
}

const lost = () => Promise.reject(new Error("read CONNECTION_CLOSED"));

test("a server that never answers is found silent, and is not asked for more until it answers", async () => {
  const { seen, waited, pulse } = waitFor(() => new Promise(() => {}));
  expect(await waited).toBe("CONNECTION_SILENT");
  expect(seen).toMatchObject({ foundSilent: 1 });
  const refused = pulse.unlessSilent(() => Promise.reject(new Error("it was begun")));
  expect(await refused.catch((error: unknown) => errorCode(error))).toBe("CONNECTION_SILENT");
});

test("one that refuses every connection is found silent, and is not asked without a pause", async () => {
  const { seen, waited } = waitFor(lost);
  expect(await waited).toBe("CONNECTION_SILENT");
  expect(seen.asked).toBeWithin(2, 10);
});

test("a question whose connection was lost says nothing of the server: it is asked again on another", async () => {
  const { seen, answer, waited } = waitFor(() => (seen.asked === 1 ? lost() : Promise.resolve()));
  while (seen.asked < 2) await Bun.sleep(20);
  await Bun.sleep(500);
  answer.resolve("answered late");
  expect(await waited).toBe("answered late");
  expect(seen.foundSilent).toBe(0);
});
