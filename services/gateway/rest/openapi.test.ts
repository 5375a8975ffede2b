import { expect, test } from "bun:test";
import { hasOption } from "@bufbuild/protobuf";
import { http } from "../../../packages/api/gen/google/api/annotations_pb.ts";
import type { Rpc } from "../../../packages/service/wire/rpc.ts";
import { allServices } from "../../../tests/kit/edge.ts";
import { createRoutes } from "../routes.ts";
import { createOpenApi } from "./openapi.ts";

const methods = (await allServices()).flatMap((service) => service.methods).filter((method) => hasOption(method, http));
const routes = createRoutes(methods.map((method) => ({ kind: method.methodKind, method }) as unknown as Rpc)).all;
const document = JSON.parse(createOpenApi(routes)());

test("every REST route is an operation with a name of its own", () => {
  const names = Object.values(document.paths).flatMap((path) =>
    Object.values(path as object).map(({ operationId }) => operationId),
  );
  expect(names.length).toBe(routes.length);
  expect(new Set(names).size).toBe(names.length);
});

test("every operation says in a sentence what it does, and every tag what it is about", () => {
  const operations = Object.values(document.paths).flatMap((path) => Object.entries(path as object));
  const silent = operations.filter(([, { summary }]) => !/^[A-Z].*[^.]$/.test(summary));
  expect(silent.map(([method, { operationId }]) => `${method} ${operationId}`)).toEqual([]);
  expect(document.tags.length).toBeGreaterThan(5);
  expect(document.tags.filter(({ description }: { description?: string }) => !description?.endsWith("."))).toEqual([]);
});

test("every reference leads to a schema", () => {
  const refs = JSON.stringify(document).matchAll(/"\$ref":"#\/components\/(\w+)\/([^"]+)"/g);
  let count = 0;
  for (const [, kind = "", name = ""] of refs) {
    expect(document.components[kind]).toHaveProperty([name]);
    count += 1;
  }
  expect(count).toBeGreaterThan(50);
});

test("a path's values are its parameters", () => {
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const { parameters } of Object.values(
      operations as Record<string, { parameters: { in: string; name: string }[] }>,
    )) {
      const named = parameters.filter((each) => each.in === "path").map(({ name }) => name);
      expect(named).toEqual(Array.from(path.matchAll(/\{(\w+)\}/g), ([, name = ""]) => name));
    }
  }
});

test("the rules of the protos are there to read", () => {
  const { post } = document.paths["/v1/orders"];
  expect(post.security).toEqual([{ bearer: [] }]);
  expect(post.parameters).toMatchObject([{ name: "Idempotency-Key", in: "header" }]);
  expect(post.requestBody.content["application/json"].schema).toMatchObject({
    required: ["lines"],
    properties: {
      requestId: { minLength: 1, maxLength: 128 },
      lines: {
        minItems: 1,
        maxItems: 100,
        items: { $ref: "#/components/schemas/bodega.order.v1.PlaceOrderRequest.Line" },
      },
    },
  });
  expect(document.components.schemas["bodega.order.v1.PlaceOrderRequest.Line"]).toMatchObject({
    required: ["productId"],
    properties: { productId: { format: "uuid" }, quantity: { type: "integer", minimum: 1, maximum: 1000 } },
  });
  expect(document.components.schemas["bodega.order.v1.Order"].properties).toMatchObject({
    version: { type: "string", format: "int64" },
    createdAt: { type: "string", format: "date-time" },
    status: { enum: expect.arrayContaining(["ORDER_STATUS_PAID"]) },
  });
  expect(document.paths["/v1/products"].get.security).toEqual([]);
  expect(document.paths["/v1/orders/{order_id}:watch"].get.responses["200"].content).toHaveProperty([
    "application/x-ndjson",
  ]);
});

test("the comments of the protos are there to read", () => {
  const { post } = document.paths["/v1/orders/{order_id}:cancel"];
  expect(post.summary).toBe(
    "A customer cancels what is unpaid; an admin also what is paid and not handed over yet, which refunds it",
  );
  expect(post.description).toBe(
    "Cancelling twice answers alike; too late is ORDER_PAID or ILLEGAL_MOVE.\n\nbodega.order.v1.OrderService.CancelOrder, for the owner and admins.",
  );
  const { parameters } = document.paths["/v1/orders"].get;
  expect(parameters[0]).toEqual({
    name: "page_size",
    in: "query",
    description: "At most 100; 0 means 50.",
    schema: { type: "integer", format: "int32", minimum: 0, maximum: 100 },
  });
  const { schemas } = document.components;
  expect(schemas["bodega.type.v1.Money"].description).toBe(
    "An amount of money in the currency's smallest unit: 450 EUR is four euros fifty.",
  );
  expect(schemas["bodega.order.v1.Order"].properties.expiresAt).toEqual({
    description: "An order unpaid at this time is cancelled.",
    type: "string",
    format: "date-time",
  });
  expect(schemas["bodega.mail.v1.Mail"].properties.status.description).toContain(
    "- `MAIL_STATUS_DROPPED`: Overtaken by events: a reminder for an order that is no longer unpaid.",
  );
});
