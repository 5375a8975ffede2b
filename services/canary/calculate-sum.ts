import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { SumCalculated } from "../../packages/api/facts.ts";
import type { CalculateSumRequest } from "../../packages/api/gen/bodega/canary/v1/canary_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { INSTANCE } from "../../packages/service/instance.ts";
import { insertSum } from "./store.ts";
import { add } from "./sum.ts";

/** Asked for a second time it is a second sum: a probe that is never sure would measure nothing. */
export async function calculateSum(app: App, _caller: Caller, { a, b }: CalculateSumRequest) {
  const sum = { sumId: app.random.id(), a, b, sum: add(a, b), instance: INSTANCE, calculatedAt: app.clock.now() };
  await app.record((tx) => {
    insertSum(tx, sum);
    tx.emit(SumCalculated, { ...sum, calculatedAt: timestampFromDate(sum.calculatedAt) });
  });
  return sum;
}
