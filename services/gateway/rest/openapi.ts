import { type DescField, type DescMessage, getOption } from "@bufbuild/protobuf";
import { Access, access } from "../../../packages/api/gen/bodega/type/v1/access_pb.ts";
import { VERSION } from "../../../packages/service/version.ts";
import { PROBLEM_TYPE } from "../../../packages/service/wire/problem.ts";
import type { Route } from "../routes.ts";
import { collectSchemas, commentOf, describe, type Json, objectSchema, schemaOf } from "./openapi-schema.ts";

/** The REST API as an OpenAPI 3.1 document, made from the same descriptors that answer it, when first asked for. `basePath` is before all its paths. */
export function createOpenApi(routes: Route[], basePath = ""): () => string {
  let text: string | undefined;
  return () => {
    text ??= JSON.stringify(openApi(routes, basePath), null, 2);
    return text;
  };
}

const DESCRIPTION =
  "Orders that are never lost, doubled or forgotten. JSON is protobuf's own mapping: camelCase names, enums by name, 64-bit integers and times as strings.";

function openApi(routes: Route[], basePath: string): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of routes) {
    paths[route.template] = { ...paths[route.template], [route.httpMethod.toLowerCase()]: operation(route, routes) };
  }
  const messages = routes.flatMap(({ rpc, body }) => [rpc.method.output, ...(body ? fieldsOf(rpc.method.input) : [])]);
  return {
    openapi: "3.1.0",
    info: {
      title: "Bodega",
      version: VERSION,
      description: DESCRIPTION,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: basePath || "/" }],
    tags: [...new Set(routes.map(({ rpc }) => rpc.method.parent))].map((service) => ({
      name: service.name,
      ...describe(commentOf(service)),
    })),
    paths,
    components: {
      schemas: { ...collectSchemas(messages), Problem: PROBLEM },
      securitySchemes: { bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT" } },
      responses: {
        Problem: {
          description: "A refusal, by RFC 9457",
          content: { [PROBLEM_TYPE]: { schema: { $ref: "#/components/schemas/Problem" } } },
        },
      },
    },
  };
}

function operation(route: Route, routes: Route[]): Json {
  const { method, kind } = route.rpc;
  const rule = getOption(method, access);
  const inPath = route.segments.flatMap((segment) => ("field" in segment ? [segment.field] : []));
  const rest = method.input.fields.filter((field) => !inPath.includes(field));
  const takesKey = rest.some((field) => field.name === "request_id");
  const nth = routes.filter(({ rpc }) => rpc.method === method).indexOf(route);
  const id = `${method.parent.name}_${method.name}`;
  const { summary, more } = sentences(commentOf(method));
  const output = { $ref: `#/components/schemas/${method.output.typeName}` };
  return {
    operationId: nth > 0 ? `${id}_${nth + 1}` : id,
    ...(summary && { summary }),
    ...describe(more, `${method.parent.typeName}.${method.name}, for ${AUDIENCE[rule]}.`),
    tags: [method.parent.name],
    security: rule === Access.ANYONE ? [] : [{ bearer: [] }],
    parameters: [
      ...inPath.map((field) => ({ ...parameter(field, "path"), required: true })),
      ...(route.body ? [] : rest.map((field) => parameter(field, "query"))),
      ...(takesKey
        ? [
            {
              name: "Idempotency-Key",
              in: "header",
              description: "In place of requestId.",
              schema: { type: "string", maxLength: 128 },
            },
          ]
        : []),
    ],
    ...(route.body && {
      requestBody: {
        required: rest.length > 0,
        content: { "application/json": { schema: objectSchema(rest, takesKey ? ["request_id"] : []) } },
      },
    }),
    responses: {
      "200":
        kind === "unary"
          ? { description: "Done", content: { "application/json": { schema: output } } }
          : {
              description: "One message a line, until the stream ends",
              content: { "application/x-ndjson": { schema: output } },
            },
      default: { $ref: "#/components/responses/Problem" },
    },
  };
}

function parameter(field: DescField, place: "path" | "query"): Json {
  const { description, ...schema } = schemaOf(field);
  return { name: field.name, in: place, ...describe(description), schema };
}

function fieldsOf(message: DescMessage): DescMessage[] {
  return message.fields.flatMap((field) => (field.message ? [field.message] : []));
}

/** The first sentence, without its full stop, and what follows it. */
function sentences(comment = ""): { summary: string; more: string } {
  const [, summary = comment, more = ""] = /^(.*?)\.(?: (.*))?$/.exec(comment) ?? [];
  return { summary, more };
}

const AUDIENCE: Record<Access, string> = {
  [Access.UNSPECIFIED]: "nobody",
  [Access.ANYONE]: "anyone",
  [Access.SIGNED_IN]: "signed-in users",
  [Access.OWNER]: "the owner and admins",
  [Access.KITCHEN]: "the kitchen and admins",
  [Access.ADMIN]: "admins",
  [Access.SERVICE]: "services",
};

const text: Json = { type: "string" };
const PROBLEM: Json = {
  type: "object",
  required: ["type", "title", "status", "detail", "reason", "code", "trace_id", "request_id"],
  properties: {
    type: text,
    title: text,
    status: { type: "integer" },
    detail: text,
    reason: { type: "string", description: "For programs, such as OUT_OF_STOCK" },
    code: { type: "string", description: "The Connect code, such as not_found" },
    trace_id: text,
    request_id: text,
    violations: {
      type: "array",
      items: { type: "object", required: ["field", "description"], properties: { field: text, description: text } },
    },
    retry_after_ms: { type: "integer" },
  },
};
