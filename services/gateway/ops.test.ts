import { expect, test } from "bun:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { Role } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { OpsService } from "../../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import { createEdge } from "../../tests/kit/edge.ts";

const edge = await createEdge();
const headers = await edge.bearer(Role.ADMIN);
const fetch = (...args: ConstructorParameters<typeof Request>) => edge.gateway.fetch(new Request(...args));
const ops = createClient(
  OpsService,
  createConnectTransport({ baseUrl: "http://edge", fetch: fetch as typeof globalThis.fetch }),
);
const IDS = { parkedIds: ["01890000-0000-7000-8000-000000000001"] };

test("what is parked is one list over all services, each in its own order, at any size of page", async () => {
  for (const pageSize of [1, 2, 3, 4, 5, 6, 50]) {
    const seen: string[] = [];
    let pageToken = "";
    do {
      const page = await ops.listParked({ pageSize, pageToken }, { headers });
      expect(page.parked.length).toBeLessThanOrEqual(pageSize);
      seen.push(...page.parked.map(({ parkedId }) => parkedId));
      pageToken = page.nextPageToken;
    } while (pageToken);
    expect(seen).toEqual(["product-1", "kitchen-2", "product-4", "kitchen-5", "kitchen-3", "product-6"]);
  }
});

test("one service's list is its own", async () => {
  const { parked } = await ops.listParked({ service: "kitchen" }, { headers });
  expect(parked.map(({ parkedId }) => parkedId)).toEqual(["kitchen-2", "kitchen-5", "kitchen-3"]);
});

test("a token of another list is refused", async () => {
  for (const pageToken of ["x", "W10", Buffer.from('[["order","1"]]').toString("base64url")]) {
    const error = await ops.listParked({ pageToken }, { headers }).catch(ConnectError.from);
    expect(error).toMatchObject({
      code: Code.InvalidArgument,
      rawMessage: "page_token: is not a token this list gave",
    });
  }
});

test("replaying and discarding go to the service that is named", async () => {
  expect(await ops.replayParked({ service: "kitchen", ...IDS }, { headers })).toMatchObject({ replayed: 1 });
  expect(await ops.discardParked({ service: "product", reason: "old", ...IDS }, { headers })).toMatchObject({
    discarded: 1,
  });
  const error = await ops.replayParked({ service: "nobody", ...IDS }, { headers }).catch(ConnectError.from);
  expect(error).toMatchObject({ code: Code.NotFound, rawMessage: "there is no service nobody" });
});

test("backlogs and versions of all services come in one answer", async () => {
  const { backlogs } = await ops.getBacklog({}, { headers });
  expect(backlogs.map(({ service, outbox }) => [service, outbox])).toEqual([
    ["kitchen", 2n],
    ["product", 2n],
    ["auth", 2n],
  ]);
  const { services } = await ops.getInfo({}, { headers });
  expect(services.map(({ service }) => service)).toEqual(["kitchen", "product", "auth"]);
});

test("only admins learn which services there are", async () => {
  for (const [who, code] of [
    [{}, Code.Unauthenticated],
    [await edge.bearer(Role.CUSTOMER), Code.PermissionDenied],
  ] as const) {
    const error = await ops.replayParked({ service: "nobody", ...IDS }, { headers: who }).catch(ConnectError.from);
    expect(error).toMatchObject({ code });
  }
});
