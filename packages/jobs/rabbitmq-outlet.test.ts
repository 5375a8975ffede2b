import { expect, test } from "bun:test";
import { EventEmitter } from "node:events";
import { eventually } from "../../tests/kit/eventually.ts";
import { message, outcomeOf } from "../../tests/kit/servers/rabbitmq-jobs.ts";
import type { ChannelModel } from "./rabbitmq-link.ts";
import { openOutlet } from "./rabbitmq-outlet.ts";

type Confirm = (error: Error | null) => void;

/** A connection whose channels do with each message what its queue's name says. */
function openFake() {
  const channels: EventEmitter[] = [];
  const counts = { dead: 0, declared: 0, failing: 0 };
  const model = {
    async createConfirmChannel() {
      const events = new EventEmitter();
      channels.push(events);
      return Object.assign(events, {
        publish(_exchange: string, queue: string, _body: Buffer, properties: object, confirm: Confirm) {
          if (queue === "dead") counts.dead += 1;
          if (queue === "unbound") events.emit("return", { properties });
          if (queue === "refusing") confirm(new Error("nacked"));
          else if (queue !== "dead") confirm(null);
        },
      });
    },
  };
  // Of the driver's connection only what sending uses.
  const out = openOutlet(model as unknown as ChannelModel, async () => {
    counts.declared += 1;
    if (counts.failing > 0) {
      counts.failing -= 1;
      throw new Error("not declared");
    }
  });
  const close = () => {
    for (const channel of channels) channel.emit("close");
  };
  return { out, close, counts };
}

const never = new AbortController().signal;

test("a queue that confirms nothing keeps no other from sending, and takes no more than its share", async () => {
  const { out, close, counts } = openFake();
  const deadline = new AbortController();
  const stuck = outcomeOf(
    out.send(
      "dead",
      Array.from({ length: 5_000 }, () => message()),
      deadline.signal,
    ),
  );
  await eventually(() => counts.dead === 200);
  expect(await outcomeOf(out.send("alive", [message(), message()], never))).toBe("done");
  expect(counts.dead).toBe(200);
  deadline.abort(new Error("too late"));
  close();
  expect(await stuck).toBe("too late");
  expect(counts.dead).toBe(200);
});

test("only what is confirmed and was not returned is sent", async () => {
  const { out } = openFake();
  expect(await outcomeOf(out.send("unbound", [message()], never))).toMatch("no queue takes jobs for unbound");
  expect(await outcomeOf(out.send("refusing", [message()], never))).toMatch("refused job");
});

test("a queue that sent something back is looked after before the next is sent", async () => {
  const { out, counts } = openFake();
  for (let i = 0; i < 3; i++) await out.send("alive", [message()], never);
  expect(counts.declared).toBe(1);
  for (let i = 0; i < 3; i++) await outcomeOf(out.send("unbound", [message()], never));
  expect(counts.declared).toBe(4);
});

test("what waits for its confirmation when the connection goes was not sent", async () => {
  const { out, close, counts } = openFake();
  const sending = outcomeOf(out.send("dead", [message()], never));
  await eventually(() => counts.dead === 1);
  close();
  expect(await sending).toMatch("connection was lost");
});

test("a queue that could not be made is told to who sends, to nobody else, and made again by the next", async () => {
  const { out, counts } = openFake();
  const unheard: unknown[] = [];
  const hear = (error: unknown) => unheard.push(error);
  process.on("unhandledRejection", hear);
  try {
    counts.failing = 1;
    expect(await outcomeOf(out.send("alive", [message()], never))).toBe("not declared");
    await new Promise((resolve) => setImmediate(resolve));
    expect(unheard).toEqual([]);
    expect(await outcomeOf(out.send("alive", [message()], never))).toBe("done");
  } finally {
    process.off("unhandledRejection", hear);
  }
});
