import { expect, test } from "bun:test";
import { OpsService } from "../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import { SERVICES } from "../packages/api/services.ts";
import { loadServices, SERVICE_NAMES } from "./all.ts";

test("the edge knows of every service just what that service answers", async () => {
  const services = await loadServices(SERVICE_NAMES, {});
  const answered = services.map(({ name, answers }) => [
    name,
    [...answers.map(({ service }) => service.typeName), OpsService.typeName],
  ]);
  const known = Object.entries(SERVICES).map(([name, all]) => [name, all.map(({ typeName }) => typeName)]);
  expect(Object.fromEntries(known)).toEqual(Object.fromEntries(answered));
});
