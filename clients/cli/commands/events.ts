import {
  type Event,
  EventLogService,
  EventSchema,
  ListEventsResponseSchema,
  type Problem,
  ProblemKindSchema,
} from "../../../packages/api/gen/bodega/eventlog/v1/eventlog_pb.ts";
import type { Group } from "../command-line.ts";
import { Exit } from "../exit.ts";
import type { Shop } from "../shop.ts";
import { wholeNumber } from "../values.ts";
import { time, word } from "../words.ts";

const SHOWN = 50;
/** So many are verified within the time that a call has. */
const VERIFIED_AT_ONCE = 20_000;

export const events: Group = (program, at) => {
  const group = program.command("events").description("The journal of everything that happened");
  for (const part of [list, tail, verify]) part(group, at);
};

const list: Group = (group, at) => {
  group
    .command("list")
    .description(`The newest ${SHOWN} events`)
    .option("--type <type>", "such as order.created", "")
    .option("--subject <id>", "of this aggregate alone", "")
    .option("--order <id>", "about this order, whatever their subject", "")
    .option("--oldest-first", "from the first on")
    .action(async ({ type, subject, order: orderId, oldestFirst = false }) => {
      const shop = at();
      const wanted = { type, subject, orderId, oldestFirst, pageSize: SHOWN };
      shop.show(ListEventsResponseSchema, await shop.call(EventLogService).listEvents(wanted), (reply) =>
        shop.terminal.table(["SEQUENCE", "AT", "TYPE", "SUBJECT", "ORDER"], reply.events.map(rowOf)),
      );
    });
};

const tail: Group = (group, at) => {
  group
    .command("tail")
    .description("What happens, as it is recorded")
    .option("--after <sequence>", "begin behind this event; 0 begins with the first")
    .option("--type <type>", "such as order.created", "")
    .option("--subject <id>", "of this aggregate alone", "")
    .option("--order <id>", "about this order, whatever their subject", "")
    .option("--count <events>", "end after so many")
    .action(async ({ after, type, subject, order: orderId, count }) => {
      const shop = at();
      const behind = after === undefined ? {} : { afterSequence: wholeNumber("after", after, { min: 0n }) };
      let left = count === undefined ? Infinity : Number(wholeNumber("count", count, { min: 1n }));
      const hangUp = new AbortController();
      const wanted = { type, subject, orderId, ...behind };
      for await (const { event } of shop.call(EventLogService).tailEvents(wanted, { signal: hangUp.signal })) {
        // Heartbeats tell nobody anything.
        if (!event) continue;
        shop.show(EventSchema, event, () => shop.say(rowOf(event).join("  ")));
        left -= 1;
        if (left > 0) continue;
        hangUp.abort();
        return;
      }
    });
};

const verify: Group = (group, at) => {
  group
    .command("verify")
    .description("Compute every hash anew; ends with 7 when anything was changed, removed or added")
    .option("--from <sequence>", "begin with this event", "0")
    .action(async ({ from }) => {
      const shop = at();
      const { checked, problems } = await verified(shop, wholeNumber("from", from, { min: 0n }));
      const found = problems.map(({ kind, sequence, says }) => ({
        sequence: String(sequence),
        kind: word(ProblemKindSchema, kind),
        says,
      }));
      shop.showOwn({ intact: found.length === 0, checked: String(checked), problems: found }, () => {
        if (found.length === 0) return shop.say(`${checked} events, each as it was recorded.`);
        return shop.terminal.table(
          ["SEQUENCE", "PROBLEM", "FOUND"],
          found.map((each) => [each.sequence, each.kind, each.says]),
        );
      });
      if (found.length > 0) shop.endWith(Exit.NOT_IN_ORDER);
    });
};

async function verified(shop: Shop, from: bigint): Promise<{ checked: bigint; problems: Problem[] }> {
  const problems: Problem[] = [];
  let checked = 0n;
  for (let fromSequence = from; ; ) {
    const part = await shop.call(EventLogService).verifyChain({ fromSequence, eventsMax: VERIFIED_AT_ONCE });
    problems.push(...part.problems);
    checked += part.checked;
    if (part.nextSequence === 0n) return { checked, problems };
    fromSequence = part.nextSequence;
  }
}

function rowOf({ sequence, time: at, type, subject, orderId }: Event) {
  return [sequence, time(at), type, subject, orderId === subject ? "" : orderId];
}
