import { expect, test } from "bun:test";
import { EventEmitter } from "node:events";
import { message, outcomeOf } from "../../tests/rabbitmq-jobs.ts";
import type { ChannelModel, ConfirmChannel } from "./rabbitmq-link.ts";
import { openOutlet } from "./rabbitmq-outlet.ts";

type Confirm = (error: Error | null) => void;

/** A channel that does with each message what its queue's name says. */
function openFake() {
  const events = new EventEmitter();
  const counts = { dead: 0, declared: 0 };
  const channel = Object.assign(events, {
    publish(_exchange: string, queue: string, _body: Buffer, properties: object, confirm: Confirm) {
      if (queue === "dead") counts.dead += 1;
      if (queue === "unbound") events.emit("return", { properties });
      if (queue === "refusing") confirm(new Error("nacked"));
      else if (queue !== "dead") confirm(null);
    },
  });
  // Of the driver's channel only what sending uses.
  const out = openOutlet({} as ChannelModel, channel as unknown as ConfirmChannel, async () => {
    counts.declared += 1;
  });
  return { out, events, counts };
}

const never = new AbortController().signal;

test("a queue that confirms nothing keeps no other from sending, and takes no more than its share", async () => {
  const { out, events, counts } = openFake();
  const deadline = new AbortController();
  const stuck = outcomeOf(
    out.send(
      "dead",
      Array.from({ length: 5_000 }, () => message()),
      deadline.signal,
    ),
  );
  expect(await outcomeOf(out.send("alive", [message(), message()], never))).toBe("done");
  expect(counts.dead).toBe(1_000);
  deadline.abort(new Error("too late"));
  events.emit("close");
  expect(await stuck).toBe("too late");
  expect(counts.dead).toBe(1_000);
});

test("only what is confirmed and was not returned is sent", async () => {
  const { out } = openFake();
  expect(await outcomeOf(out.send("unbound", [message()], never))).toMatch("no queue takes jobs for unbound");
  expect(await outcomeOf(out.send("refusing", [message()], never))).toMatch("refused job");
});

test("what waits for its confirmation when the connection goes was not sent", async () => {
  const { out, events } = openFake();
  const sending = outcomeOf(out.send("dead", [message()], never));
  events.emit("close");
  expect(await sending).toMatch("connection was lost");
});
