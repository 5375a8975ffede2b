import { expect, test } from "bun:test";
import { OrderCreated } from "../api/facts.ts";
import { CanaryService } from "../api/gen/bodega/canary/v1/canary_pb.ts";
import { GetOrderResponseSchema } from "../api/gen/bodega/order/v1/order_pb.ts";
import { DeliverMail, RequestRefund } from "../api/jobs.ts";
import type { App, Repeatable } from "./app.ts";
import type { Caller } from "./caller.ts";
import { answers, does, effect, on, onAny, service } from "./service.ts";

// What must not compile, for `bun run check`: each line below a mark has a handler of another service, or a story of another kind.

interface Ours {
  rate: number;
}
interface Theirs {
  speed: number;
}

const ours = async (_app: App<Ours>) => {};
const theirs = async (_app: App<Theirs>) => {};
const anybodys = async (_app: App) => {};
const answered = async (_app: App<Ours>) => ({});
const answeredByThem = async (_app: App<Theirs>) => ({});
const answeredByAnybody = async (_app: App) => ({});

const bare = { name: "ours", config: { rate: 1 }, answers: [], hears: [], does: [] };

test("a service takes handlers of its own App and of anybody's", () => {
  const whole = service<Ours>({
    ...bare,
    answers: [answers(CanaryService, { calculateSum: answered, getTotals: answeredByAnybody })],
    hears: [on(OrderCreated, ours), on(OrderCreated, anybodys)],
    does: [
      does(RequestRefund, ours),
      effect(DeliverMail, { perform: async (_app: App<Ours>) => 1, settle: anybodys, fail: ours }),
    ],
  });
  expect([whole.answers, whole.hears, whole.does].map(({ length }) => length)).toEqual([1, 2, 2]);
});

export const refusedByTheCompiler = () => [
  service<Ours>({
    ...bare,
    // @ts-expect-error an RPC's handler wants the App of another service
    answers: [answers(CanaryService, { calculateSum: answered, getTotals: answeredByThem })],
  }),
  // @ts-expect-error a fact's handler does
  service<Ours>({ ...bare, hears: [on(OrderCreated, theirs)] }),
  // @ts-expect-error a handler of all facts does
  service<Ours>({ ...bare, hears: [onAny(theirs)] }),
  // @ts-expect-error a job's handler does
  service<Ours>({ ...bare, does: [does(RequestRefund, theirs)] }),
  service<Ours>({
    ...bare,
    // @ts-expect-error one part of an effect does
    does: [effect(DeliverMail, { perform: async (_app: App<Ours>) => 1, settle: anybodys, fail: theirs })],
  }),
];

export const otherStories = (app: App, caller: Caller, req: Repeatable) => [
  app.recordOnce(caller, GetOrderResponseSchema, req, () => ({})),
  app.transactOnce(caller, GetOrderResponseSchema, req, async () => ({})),
  // @ts-expect-error what is committed with others' stories cannot wait for anything
  app.recordOnce(caller, GetOrderResponseSchema, req, async () => ({})),
  // @ts-expect-error what only records has no transaction to read in
  app.recordOnce(caller, GetOrderResponseSchema, req, (tx) => tx.sql`select 1`),
];
