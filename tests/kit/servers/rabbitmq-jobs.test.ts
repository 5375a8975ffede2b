import { expect, test } from "bun:test";
import type { JobHandler, Jobs } from "../../../packages/jobs/jobs.ts";
import { eventually } from "../eventually.ts";
import { load } from "./rabbitmq-jobs.ts";

/** Jobs in memory, of which some go as `fate` says. */
function inMemory(fate: (number: number) => "lost" | "twice" | "once"): Jobs {
  let handle: JobHandler = async () => {};
  let number = 0;
  return {
    async send(_queue, messages) {
      for (const message of messages) {
        const times = { lost: 0, once: 1, twice: 2 }[fate(++number)];
        for (let i = 0; i < times; i++) await handle([message]);
      }
    },
    receive(_queue, handler) {
      handle = handler;
      return { close: async () => {} };
    },
    wakeLater() {},
    undelivered: async () => 0,
    inspect: async () => ({ found: "in memory", figures: {}, troubles: [] }),
    close: async () => {},
  };
}

async function counted(fate: Parameters<typeof inMemory>[0]) {
  const under = load(inMemory(fate), "mail");
  await eventually(() => under.sent.length >= 100);
  await under.stop();
  return { lost: under.lost(), redelivered: under.redelivered() };
}

test("the planted bug: a broker that confirms what it drops is found out, and one that delivers twice", async () => {
  expect(await counted(() => "once")).toEqual({ lost: 0, redelivered: 0 });
  expect(await counted((number) => (number === 17 ? "lost" : "once"))).toEqual({ lost: 1, redelivered: 0 });
  expect(await counted((number) => (number === 17 ? "twice" : "once"))).toEqual({ lost: 0, redelivered: 1 });
});
