import { expect, test } from "bun:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { AuthService, Role } from "../../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { KitchenService } from "../../../packages/api/gen/bodega/kitchen/v1/kitchen_pb.ts";
import { RetryInfoSchema } from "../../../packages/api/gen/google/rpc/error_details_pb.ts";
import { allServices, createEdge } from "../../../tests/kit/edge.ts";
import { BUDGETS } from "./limits.ts";

type Edge = Awaited<ReturnType<typeof createEdge>>;
const LOGIN = { email: "a@b.c", password: "secret" };

function clientOf(edge: Edge, headers: Record<string, string> = {}) {
  const fetch = (...args: ConstructorParameters<typeof Request>) => edge.gateway.fetch(new Request(...args));
  const transport = createConnectTransport({ baseUrl: "http://edge", fetch: fetch as typeof globalThis.fetch });
  return {
    login: () =>
      createClient(AuthService, transport)
        .login(LOGIN)
        .then(
          () => Code.Unknown,
          (error) => ConnectError.from(error).code,
        ),
    list: () => createClient(KitchenService, transport).listTickets({}, { headers }).catch(ConnectError.from),
  };
}

async function loginsAllowed(edge: Edge, tries: number): Promise<number> {
  const { login } = clientOf(edge);
  let allowed = 0;
  for (let i = 0; i < tries; i++) if ((await login()) !== Code.ResourceExhausted) allowed += 1;
  return allowed;
}

test("the budget of a route is its caller's: after its burst the call is refused with the time to wait", async () => {
  const edge = await createEdge();
  expect(await loginsAllowed(edge, 120)).toBe(100);
  const body = JSON.stringify(LOGIN);
  const res = await edge.gateway.fetch(
    new Request("http://edge/v1/sessions", { method: "POST", body, headers: { "content-type": "application/json" } }),
  );
  expect(res.status).toBe(429);
  expect(await res.json()).toMatchObject({ reason: "RATE_LIMITED", retry_after_ms: 100 });
  expect(Object.fromEntries(res.headers)).toMatchObject({
    "retry-after": "1",
    "ratelimit-policy": '"Login";q=100;w=10',
    ratelimit: '"Login";r=0;t=10',
    "ratelimit-limit": "100",
    "ratelimit-remaining": "0",
    "ratelimit-reset": "10",
  });
});

test("over Connect the refusal carries RetryInfo, and answers tell what is left", async () => {
  const edge = await createEdge();
  const login = () =>
    edge.gateway.fetch(
      new Request("http://edge/bodega.auth.v1.AuthService/Login", {
        method: "POST",
        body: JSON.stringify(LOGIN),
        headers: { "content-type": "application/json" },
      }),
    );
  expect((await login()).headers.get("ratelimit-remaining")).toBe("99");
  await loginsAllowed(edge, 99);
  const refused = await login();
  expect(refused.status).toBe(429);
  expect(await refused.json()).toMatchObject({
    code: "resource_exhausted",
    details: [{}, { type: RetryInfoSchema.typeName, debug: { retryDelay: "0.100s" } }],
  });
});

test("users of one address have budgets of their own; a token that is none has the address's", async () => {
  const edge = await createEdge();
  const remaining = async (headers: Record<string, string>) =>
    (await edge.gateway.fetch(new Request("http://edge/v1/tickets", { headers }))).headers.get("ratelimit-remaining");
  const [one, two] = [await edge.bearer(Role.KITCHEN), await edge.bearer(Role.KITCHEN)];
  expect([await remaining(one), await remaining(one), await remaining(two)]).toEqual(["599", "598", "599"]);
  expect([
    await remaining({ authorization: "Bearer a.b.c" }),
    await remaining({ authorization: "Bearer d.e.f" }),
  ]).toEqual(["599", "598"]);
});

test("limits can be off", async () => {
  const edge = await createEdge({ config: { rateLimits: false } });
  expect(await loginsAllowed(edge, 120)).toBe(120);
  const res = await edge.gateway.fetch(new Request("http://edge/v1/products"));
  expect(res.headers.has("ratelimit")).toBe(false);
});

test("every route with a budget of its own is an RPC", async () => {
  const known = (await allServices()).flatMap((service) =>
    service.methods.map((method) => `${service.typeName}/${method.name}`),
  );
  for (const route of Object.keys(BUDGETS)) expect(known).toContain(route);
});
