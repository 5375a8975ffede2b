import { expect, test } from "bun:test";
import { OpsService } from "../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import { declarations, SERVICE_NAMES } from "./all.ts";
import { remoteServices } from "./remote-services.ts";

test("a service is listed under the name that it has, and answers what its own protos declare", async () => {
  const declared = await declarations();
  expect(declared.map(({ name }) => name)).toEqual(SERVICE_NAMES);
  const foreign = declared.flatMap(({ name, answers }) =>
    answers.filter(({ service }) => !service.typeName.startsWith(`bodega.${name}.v1.`)),
  );
  expect(foreign).toEqual([]);
});

test("the edge knows of every service in another process just what that service answers", async () => {
  const declared = await declarations();
  const urls = Object.fromEntries(SERVICE_NAMES.map((name) => [name, "http://127.0.0.1:9"]));
  const known = remoteServices(declared, urls, () => "").map(({ name, rpcs, pages }) => ({
    name,
    answers: [...new Set(rpcs.map(({ method }) => method.parent.typeName))],
    pages: pages?.paths,
  }));
  expect(known).toEqual(
    declared.map(({ name, answers, pages }) => ({
      name,
      answers: [...answers.map(({ service }) => service.typeName), OpsService.typeName],
      pages: pages?.paths,
    })),
  );
});

test("no two services show a page at one place", async () => {
  const paths = (await declarations()).flatMap(({ pages }) => pages?.paths ?? []);
  expect(paths.length).toBe(new Set(paths).size);
  expect(paths).toContain("/webhooks/:provider");
});
