import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type GetInfoResponse_Info, OpsService } from "../../../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import type { Group } from "../command-line.ts";
import { Exit } from "../exit.ts";
import { Problem } from "../problem.ts";
import type { Shop } from "../shop.ts";
import { wholeNumber } from "../values.ts";
import { time } from "../words.ts";

const TIMES = { min: 1n, max: 1_000n };

export const svcInfo: Group = (program, at) => {
  program
    .command("svc-info")
    .description("Which instance of which version answers, asked over a new connection each time")
    .argument("[service]", "such as order; else all")
    .option("--times <n>", "how often to ask", "1")
    .action(async (service, { times }) => showInfo(at(), service, Number(wholeNumber("times", times, TIMES))));
};

export async function showInfo(shop: Shop, service: string | undefined, times: number): Promise<void> {
  const answers: GetInfoResponse_Info[] = [];
  for (let asked = 0; asked < times; asked += 1) {
    const { services } = await shop.afresh().call(OpsService).getInfo({});
    answers.push(...services.filter((each) => service === undefined || each.service === service));
  }
  if (answers.length === 0)
    throw new Problem(Exit.NOT_FOUND, `there is no service ${service}`, "see which there are: bodega svc-info");
  const instances = Map.groupBy(answers, (each) => `${each.service} ${each.instance}`);
  const found = Array.from(instances.values(), (same) => ({ info: same[0], answered: same.length })).flatMap(
    ({ info, answered }) => (info ? [{ info, answered }] : []),
  );
  const rows = found.map(({ info, answered }) => ({
    service: info.service,
    instance: info.instance,
    version: info.version,
    startedAt: info.startedAt ? new Date(timestampMs(info.startedAt)).toISOString() : "",
    answered,
  }));
  shop.showOwn({ asked: times, services: rows }, () =>
    shop.terminal.table(
      ["SERVICE", "INSTANCE", "VERSION", "STARTED", "ANSWERED"],
      found.map(({ info, answered }) => [
        info.service,
        info.instance,
        info.version,
        time(info.startedAt),
        `${answered} of ${times}`,
      ]),
    ),
  );
}
