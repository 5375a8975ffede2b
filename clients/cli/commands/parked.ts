import { create } from "@bufbuild/protobuf";
import {
  DiscardParkedResponseSchema,
  ListParkedResponseSchema,
  OpsService,
  type ParkedMessage,
  ParkedMessageSchema,
  ReplayParkedResponseSchema,
} from "../../../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import type { Group } from "../command-line.ts";
import { Exit } from "../exit.ts";
import { all } from "../names.ts";
import { Problem } from "../problem.ts";
import type { Shop } from "../shop.ts";
import { time } from "../words.ts";

const ONLY = "of this service alone; else of each that has parked it";

export const parked: Group = (program, at) => {
  const group = program.command("parked").description("Messages that failed for good, and wait for a person");
  for (const part of [list, show, replay, discard]) part(group, at);
};

const list: Group = (group, at) => {
  group
    .command("list")
    .description("In the order they came: the oldest of a key is the one that the others wait for")
    .option("--service <name>", "of this service alone", "")
    .action(async ({ service }) => {
      const shop = at();
      const found = await allParked(shop, service);
      shop.show(ListParkedResponseSchema, create(ListParkedResponseSchema, { parked: found }), () =>
        shop.terminal.table(
          ["AT", "SERVICE", "TYPE", "KEY", "ATTEMPTS", "ERROR", "PARKED"],
          found.map((each) => [
            time(each.parkedAt),
            each.service,
            each.type,
            each.key,
            each.attempts,
            each.error.split("\n")[0] ?? "",
            each.parkedId,
          ]),
        ),
      );
    });
};

const show: Group = (group, at) => {
  group
    .command("show")
    .description("One message, with its error and its body")
    .argument("<parked>", "its id")
    .option("--service <name>", ONLY, "")
    .action(async (id, { service: wanted }) => {
      const shop = at();
      for (const message of await messagesOf(shop, [id], wanted))
        shop.show(ParkedMessageSchema, message, ({ service, type, key, attempts, traceId, error, body }) => {
          shop.terminal.table(
            ["SERVICE", "TYPE", "KEY", "ATTEMPTS", "TRACE"],
            [[service, type, key, attempts, traceId]],
          );
          shop.say(`\n${error}\n\n${body}\n`);
          shop.say(`Next: bodega parked replay ${id}, or bodega parked discard ${id} --reason TEXT`);
        });
    });
};

const replay: Group = (group, at) => {
  group
    .command("replay")
    .description("Try messages again, in the order they came")
    .argument("<parked...>", "their ids")
    .option("--service <name>", ONLY, "")
    .action(async (ids, { service: wanted }) => {
      const shop = at();
      for (const [service, parkedIds] of byService(await messagesOf(shop, ids, wanted))) {
        const reply = await shop.call(OpsService).replayParked({ service, parkedIds });
        shop.show(ReplayParkedResponseSchema, reply, ({ replayed }) => shop.say(`${service} tries ${replayed} again.`));
      }
    });
};

const discard: Group = (group, at) => {
  group
    .command("discard")
    .description("Give messages up")
    .argument("<parked...>", "their ids")
    .requiredOption("--reason <text>", "kept in the event log")
    .option("--service <name>", ONLY, "")
    .action(async (ids, { reason, service: wanted }) => {
      const shop = at();
      for (const [service, parkedIds] of byService(await messagesOf(shop, ids, wanted))) {
        const reply = await shop.call(OpsService).discardParked({ service, parkedIds, reason });
        shop.show(DiscardParkedResponseSchema, reply, ({ discarded }) =>
          shop.say(`${service} has given ${discarded} up.`),
        );
      }
    });
};

function allParked(shop: Shop, service: string): Promise<ParkedMessage[]> {
  return all(
    (page) => shop.call(OpsService).listParked({ service, ...page }),
    (page) => page.parked,
  );
}

/** One fact may be parked by several services, under one id. */
async function messagesOf(shop: Shop, ids: string[], service: string): Promise<ParkedMessage[]> {
  const known = await allParked(shop, service);
  return ids.flatMap((id) => {
    const found = known.filter(({ parkedId }) => parkedId === id);
    if (found.length > 0) return found;
    throw new Problem(Exit.NOT_FOUND, `nothing is parked as ${id}`, "see what is: bodega parked list");
  });
}

function byService(messages: ParkedMessage[]): [string, string[]][] {
  const groups = Map.groupBy(messages, ({ service }) => service);
  return Array.from(groups, ([service, group]) => [service, group.map(({ parkedId }) => parkedId)]);
}
