import { durationMs } from "@bufbuild/protobuf/wkt";
import {
  CalculateSumResponseSchema,
  CanaryService,
  GetTotalsResponseSchema,
} from "../../../packages/api/gen/bodega/canary/v1/canary_pb.ts";
import type { Group } from "../command-line.ts";
import { Exit } from "../exit.ts";
import { wholeNumber } from "../values.ts";
import { span } from "../words.ts";

export const canary: Group = (program, at) => {
  program
    .command("canary")
    .description(
      "Send a sum the way an order goes; without numbers: what was lost or doubled so far, ends with 7 if any",
    )
    .argument("[a]", "a whole number")
    .argument("[b]", "another", "0")
    .action(async (a, b) => {
      const shop = at();
      if (a !== undefined) {
        const reply = await shop.call(CanaryService).calculateSum({ a: wholeNumber("a", a), b: wholeNumber("b", b) });
        shop.show(CalculateSumResponseSchema, reply, ({ sum, instance }) => shop.say(`${sum}, says ${instance}`));
        return;
      }
      const totals = await shop.call(CanaryService).getTotals({});
      const oldest = totals.oldestUndelivered ? span(durationMs(totals.oldestUndelivered)) : "";
      shop.show(GetTotalsResponseSchema, totals, ({ acknowledged, delivered, missing, duplicated }) =>
        shop.terminal.table(
          ["ACKNOWLEDGED", "DELIVERED", "MISSING", "DUPLICATED", "OLDEST MISSING"],
          [[acknowledged, delivered, missing, duplicated, oldest]],
        ),
      );
      if (totals.missing > 0n || totals.duplicated > 0n) shop.endWith(Exit.NOT_IN_ORDER);
    });
};
