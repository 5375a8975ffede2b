import {
  GetBalanceResponseSchema,
  GrantPointsResponseSchema,
  PointsService,
} from "../../../packages/api/gen/bodega/points/v1/points_pb.ts";
import type { Group } from "../command-line.ts";
import { userIdOf } from "../names.ts";
import { wholeNumber } from "../values.ts";

export const points: Group = (program, at) => {
  const group = program.command("points").description("Points and what of them is held");

  group
    .command("show")
    .description("Somebody's points; one's own when nobody is named")
    .argument("[user]", "id, address or name")
    .action(async (user) => {
      const shop = at();
      const userId = user === undefined ? "" : await userIdOf(shop, user);
      shop.show(GetBalanceResponseSchema, await shop.call(PointsService).getBalance({ userId }), (reply) =>
        shop.terminal.table(
          ["BALANCE", "HELD", "AVAILABLE", "USER"],
          [[reply.balance, reply.held, reply.available, reply.userId]],
        ),
      );
    });

  group
    .command("grant")
    .description("Give points; a negative amount takes some back: bodega points grant USER -- -50")
    .argument("<user>", "id, address or name")
    .argument("<amount>")
    .option("--reason <text>", "the user reads it", "granted by the shop")
    .option("--request-id <key>", "under one key it happens once")
    .action(async (user, text, { reason, requestId = crypto.randomUUID() }) => {
      const shop = at();
      const amount = wholeNumber("amount", text);
      const userId = await userIdOf(shop, user);
      const reply = await shop.call(PointsService).grantPoints({ requestId, userId, amount, reason });
      shop.show(GrantPointsResponseSchema, reply, ({ balance, available }) =>
        shop.say(`${user} has ${balance} points, ${available} of them to spend.`),
      );
    });
};
