import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import { GetBacklogResponseSchema, OpsService } from "../../../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import type { Group } from "../command-line.ts";
import { span } from "../words.ts";

export const backlog: Group = (program, at) => {
  program
    .command("backlog")
    .description("What waits where, and for how long")
    .action(async () => {
      const shop = at();
      const age = (oldest: Duration | undefined) => (oldest ? span(durationMs(oldest)) : "");
      shop.show(GetBacklogResponseSchema, await shop.call(OpsService).getBacklog({}), ({ backlogs }) =>
        shop.terminal.table(
          ["SERVICE", "TO PUBLISH", "OLDEST", "JOBS DUE", "OLDEST DUE", "SCHEDULED", "PARKED"],
          backlogs.map((each) => [
            each.service,
            each.outbox,
            age(each.outboxOldest),
            each.jobsDue,
            age(each.jobsOldest),
            each.jobsScheduled,
            each.parked,
          ]),
        ),
      );
    });
};
