import { type DescField, getOption, hasOption } from "@bufbuild/protobuf";
import { http } from "../../packages/api/gen/google/api/annotations_pb.ts";
import type { HttpRule } from "../../packages/api/gen/google/api/http_pb.ts";
import type { Rpc, ServerStreamRpc, UnaryRpc } from "../../packages/service/wire/rpc.ts";

/** What has one request, and so a form in REST. */
export type RestRpc = UnaryRpc | ServerStreamRpc;

/** One way to call an RPC by REST, from its google.api.http annotation. */
export interface Route {
  rpc: RestRpc;
  httpMethod: string;
  /** As in the annotation, such as /v1/orders/{order_id}:cancel. */
  template: string;
  segments: Segment[];
  /** What follows the colon, such as cancel. */
  verb: string;
  /** The request is the body; otherwise it is the query. */
  body: boolean;
}

type Segment = { literal: string } | { field: DescField };

export interface Match {
  route: Route;
  /** Still as in the path, but decoded. */
  values: [DescField, string][];
}

export interface RouteTable {
  all: Route[];
  /** The route of a request; the methods a path knows when it does not know this one; undefined for a path that is none. */
  find(httpMethod: string, path: string): Match | { allow: string[] } | undefined;
}

export function createRoutes(rpcs: Rpc[]): RouteTable {
  const all = rpcs.flatMap(routesOf);
  const index = Map.groupBy(all, ({ segments, verb }) => `${segments.length}:${verb}`);
  // A literal is more than a field: /v1/users/me is no user called me.
  for (const routes of index.values()) routes.sort((a, b) => literals(b) - literals(a));

  function matching(path: string): Match[] {
    const parts = path.slice(1).split("/");
    const last = parts.at(-1) ?? "";
    const colon = last.lastIndexOf(":");
    const withVerb =
      colon < 0
        ? []
        : matches(index.get(`${parts.length}:${last.slice(colon + 1)}`), [...parts.slice(0, -1), last.slice(0, colon)]);
    return withVerb.length > 0 ? withVerb : matches(index.get(`${parts.length}:`), parts);
  }

  return {
    all,
    find(httpMethod, path) {
      const found = matching(path);
      const match = found.find(({ route }) => route.httpMethod === httpMethod);
      return (
        match ?? (found.length > 0 ? { allow: [...new Set(found.map(({ route }) => route.httpMethod))] } : undefined)
      );
    },
  };
}

function routesOf(rpc: Rpc): Route[] {
  if (!hasOption(rpc.method, http)) return [];
  if (rpc.kind === "client_streaming" || rpc.kind === "bidi_streaming")
    throw odd(rpc, "a stream of requests has no form in REST, so it takes no google.api.http annotation");
  const rule = getOption(rpc.method, http);
  return [rule, ...rule.additionalBindings].map((each) => routeOf(rpc, each));
}

function routeOf(rpc: RestRpc, rule: HttpRule): Route {
  const { case: method, value: template } = rule.pattern;
  if (method === undefined || method === "custom")
    throw odd(rpc, "its google.api.http annotation names no HTTP method");
  if ((rule.body !== "" && rule.body !== "*") || rule.responseBody !== "")
    throw odd(rpc, 'only body: "*" is supported');
  const parsed = /^\/([^:]+)(?::(\w+))?$/.exec(template);
  if (!parsed) throw odd(rpc, `the path ${template} is not supported`);
  const segments = (parsed[1] ?? "").split("/").map((part): Segment => {
    const name = /^\{(\w+)\}$/.exec(part)?.[1];
    if (name === undefined) {
      if (/[{}*]/.test(part)) throw odd(rpc, `the path ${template} is not supported`);
      return { literal: part };
    }
    const field = rpc.method.input.fields.find((each) => each.name === name && each.fieldKind === "scalar");
    if (!field) throw odd(rpc, `the path ${template} names ${name}, which is no single value of the request`);
    return { field };
  });
  return { rpc, httpMethod: method.toUpperCase(), template, segments, verb: parsed[2] ?? "", body: rule.body === "*" };
}

function odd({ method }: Rpc, what: string): Error {
  return new Error(`${method.parent.typeName}.${method.name}: ${what}`);
}

function literals({ segments }: Route): number {
  return segments.filter((segment) => "literal" in segment).length;
}

function matches(routes: Route[] | undefined, parts: string[]): Match[] {
  return (routes ?? []).flatMap((route) => {
    const values = valuesOf(route.segments, parts);
    return values ? [{ route, values }] : [];
  });
}

function valuesOf(segments: Segment[], parts: string[]): [DescField, string][] | undefined {
  const values: [DescField, string][] = [];
  for (const [at, segment] of segments.entries()) {
    const part = decoded(parts[at] ?? "");
    if (!part) return undefined;
    if ("field" in segment) values.push([segment.field, part]);
    else if (part !== segment.literal) return undefined;
  }
  return values;
}

/** Undefined for what is no percent-encoding. */
function decoded(part: string): string | undefined {
  if (!part.includes("%")) return part;
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}
