import {
  ActivityService,
  GetDayResponseSchema,
  TakingKindSchema,
} from "../../../packages/api/gen/bodega/activity/v1/activity_pb.ts";
import { CancelReasonSchema } from "../../../packages/api/gen/bodega/order/v1/order_pb.ts";
import type { Group } from "../command-line.ts";
import { money, time, word } from "../words.ts";

export const activity: Group = (program, at) => {
  program
    .command("activity")
    .description("How much of everything happened on a day, and its money")
    .argument("[day]", "such as 2026-01-31; else today")
    .option("--time-zone <name>", "such as Europe/Berlin; else UTC", "")
    .option("--hourly", "hour by hour")
    .action(async (date = "", { timeZone, hourly = false }) => {
      const shop = at();
      const reply = await shop.call(ActivityService).getDay({ date, timeZone, hourly });
      shop.show(GetDayResponseSchema, reply, ({ counts, hours, takings }) => {
        const { terminal } = shop;
        shop.say(`${reply.date} ${reply.timeZone}\n`);
        terminal.table(
          ["WHAT", "HOW MANY"],
          counts.map(({ type, quantity }) => [type, quantity]),
        );
        terminal.line("");
        terminal.table(
          ["MONEY", "WHY", "AMOUNT", "HOW MANY"],
          takings.map((each) => [
            word(TakingKindSchema, each.kind),
            word(CancelReasonSchema, each.cancelReason),
            money(each.amount),
            each.quantity,
          ]),
        );
        if (!hourly) return;
        terminal.line("");
        terminal.table(
          ["HOUR", "WHAT", "HOW MANY"],
          hours.flatMap((hour) => hour.counts.map((each) => [time(hour.startsAt), each.type, each.quantity])),
        );
      });
    });
};
