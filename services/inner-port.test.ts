import { afterAll, describe, expect, test } from "bun:test";
import { create, type Message } from "@bufbuild/protobuf";
import { Code, createClient, createConnectRouter } from "@connectrpc/connect";
import { universalServerRequestFromFetch, universalServerResponseToFetch } from "@connectrpc/connect/protocol";
import { Hono } from "hono";
import { CanaryService } from "../packages/api/gen/bodega/canary/v1/canary_pb.ts";
import {
  PaymentService,
  RefundPaymentRequestSchema,
  StartPaymentRequestSchema,
} from "../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { refused } from "../packages/service/errors.ts";
import { PAGE_BYTES_MAX } from "../packages/service/outside.ts";
import type { InnerTls } from "../packages/service/tls.ts";
import { createOriginReader, createOriginSeal, ORIGIN_HEADER } from "../packages/service/wire/edge-origin.ts";
import { remoteReady, remoteTransport } from "../packages/service/wire/remote.ts";
import { ADDRESS_HEADER, NETWORK_HEADER } from "../packages/service/wire/rpc.ts";
import { deriveEdgeKey } from "../packages/service/wire/tokens.ts";
import { createLog } from "../packages/telemetry/log.ts";
import { createMetrics } from "../packages/telemetry/metrics.ts";
import { systemClock } from "../packages/time/clock.ts";
import { type Certificate, createAuthority } from "../tests/kit/certificates.ts";
import { createEdge } from "../tests/kit/edge.ts";
import { refusal } from "../tests/kit/refusal.ts";
import { declarations } from "./all.ts";
import { forwardPages } from "./gateway/forward.ts";
import { listenInside } from "./inner-port.ts";
import { remoteServices } from "./remote-services.ts";

test("what a browser asks of the edge reaches a page in another process as it was asked", async () => {
  const asked: (string | null)[][] = [];
  const payment = new Hono();
  payment.all("*", async ({ req, text }) => {
    const { pathname, search } = new URL(req.url);
    asked.push([req.method, `${pathname}${search}`, req.header("x-from") ?? null, await req.text()]);
    return text("heard");
  });
  const inside = listenInside({
    services: [{ name: "payment", rpcs: [], ready: async () => {}, pages: { paths: [], fetch: payment.fetch } }],
    host: "127.0.0.1",
    port: 0,
    opsPort: 0,
    opsHost: "127.0.0.1",
    log: createLog(() => {}),
    metrics: createMetrics(),
    readOrigin: () => undefined,
  });
  try {
    const declared = (await declarations()).filter(({ name }) => name === "payment");
    const [remote] = remoteServices(declared, { payment: `http://127.0.0.1:${inside.port}` }, () => "");
    const { gateway } = await createEdge(remote?.pages ? { pages: remote.pages } : {});
    const headers = { "x-from": "a browser" };
    for (const path of ["/pay/7?back=%2Fcart&n=1", "/pay/7", "/pay/a%2Fb%20c?x=%C3%A9"]) {
      const got = await gateway.fetch(new Request(`http://edge${path}`, { headers }));
      expect([got.status, await got.text()]).toEqual([200, "heard"]);
      expect(asked.pop()).toEqual(["GET", path, "a browser", ""]);
    }
    const sent = { method: "POST", headers, body: "outcome=succeeded" };
    await gateway.fetch(new Request("http://edge/webhooks/embedded?try=2", sent));
    expect(asked.pop()).toEqual(["POST", "/webhooks/embedded?try=2", "a browser", "outcome=succeeded"]);
  } finally {
    await inside.close();
  }
});

test("what a page would refuse for its size is refused at the edge, and nothing of it is passed on", async () => {
  const asked: string[] = [];
  const inside = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: ({ url }) => new Response(asked.push(url) ? "heard" : ""),
  });
  try {
    const pages = forwardPages(`http://127.0.0.1:${inside.port}`, ["/webhooks/:provider"]);
    const { gateway } = await createEdge({ pages });
    const post = (body: Uint8Array | ReadableStream) =>
      gateway.fetch(new Request("http://edge/webhooks/stripe", { method: "POST", body: body as never }));
    let drawn = 0;
    const endless = new ReadableStream({
      pull: (controller) => {
        drawn += 1;
        controller.enqueue(new Uint8Array(16 * 1024));
      },
    });
    const answers = await Promise.all([post(new Uint8Array(PAGE_BYTES_MAX + 1)), post(endless)]);
    expect(answers.map(({ status }) => status)).toEqual([413, 413]);
    expect(drawn).toBeLessThan(20);
    expect(asked).toEqual([]);
    expect(await (await post(new Uint8Array(PAGE_BYTES_MAX))).text()).toBe("heard");
  } finally {
    await inside.stop(true);
  }
});

test("what does no harm when it comes twice is asked for again while its service says that a part of it is away", async () => {
  const asked: string[] = [];
  const routes = createConnectRouter().service(PaymentService, {
    startPayment: () => away(),
    refundPayment: () => away(),
  });
  /** Of each path the second answer is one. */
  function away() {
    if (asked.filter((path) => path === asked.at(-1)).length > 1) return {};
    throw refused(Code.Unavailable, "UNAVAILABLE", "away", 1_000);
  }
  const inside = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(req) {
      const { pathname } = new URL(req.url);
      asked.push(pathname);
      if (pathname === "/payment/pay/7")
        return asked.length > 1
          ? new Response("a page")
          : new Response("", { status: 503, headers: { "retry-after": "1" } });
      const handler = routes.handlers.find(({ requestPath }) => pathname.endsWith(requestPath));
      if (!handler) return new Response("", { status: 404 });
      return universalServerResponseToFetch(await handler(universalServerRequestFromFetch(req, {})));
    },
  });
  try {
    const declared = (await declarations()).filter(({ name }) => name === "payment");
    const [remote] = remoteServices(declared, { payment: `http://127.0.0.1:${inside.port}` }, () => "");
    const page = await remote?.pages?.fetch(new Request("http://edge/pay/7"));
    expect(await page?.text()).toBe("a page");
    const call = (name: string, request: Message) => {
      const rpc = remote?.rpcs.find(({ method }) => method.name === name);
      if (rpc?.kind !== "unary") throw new Error(`expected a unary RPC ${name}`);
      return rpc.call(request, { headers: new Headers(), signal: new AbortController().signal });
    };
    await call("StartPayment", create(StartPaymentRequestSchema));
    await call("RefundPayment", create(RefundPaymentRequestSchema, { requestId: "7" }));
    asked.length = 0;
    const { code, retryMs } = await refusal(call("RefundPayment", create(RefundPaymentRequestSchema)));
    expect([code, retryMs, asked.length]).toEqual([Code.Unavailable, 1_000, 1]);
  } finally {
    await inside.stop(true);
  }
});

test("where a client is, is believed of nobody but the edge", async () => {
  const clock = systemClock();
  const [edge, stranger] = await Promise.all([deriveEdgeKey("the edge"), deriveEdgeKey("a stranger")]);
  const heard: (string | null)[][] = [];
  const inside = listenInside({
    services: [
      {
        name: "payment",
        rpcs: [],
        ready: async () => {},
        pages: {
          paths: [],
          fetch: async ({ headers }) => {
            heard.push([headers.get(ADDRESS_HEADER), headers.get(NETWORK_HEADER)]);
            return new Response();
          },
        },
      },
    ],
    ...{ host: "127.0.0.1", port: 0, opsPort: 0, opsHost: "127.0.0.1" },
    log: createLog(() => {}),
    metrics: createMetrics(),
    readOrigin: createOriginReader([edge.publicJwk], clock),
  });
  const ask = (headers: Record<string, string>) =>
    fetch(`http://127.0.0.1:${inside.port}/payment/pay/1`, { headers: { [ADDRESS_HEADER]: "192.0.2.1", ...headers } });
  const ann = { address: "203.0.113.7", network: "203.0.113.0/24" };
  try {
    await ask({ [NETWORK_HEADER]: "192.0.2.0/24" });
    await ask({ [ORIGIN_HEADER]: createOriginSeal(stranger, clock)(ann) });
    await ask({ [ORIGIN_HEADER]: createOriginSeal(edge, clock)(ann) });
    expect(heard).toEqual([
      [null, null],
      [null, null],
      [ann.address, ann.network],
    ]);
  } finally {
    await inside.close();
  }
});

describe("processes that talk over TLS", () => {
  const [ours, theirs] = [createAuthority(), createAuthority()];
  const shown = ({ cert, key }: Certificate): InnerTls => ({ ca: ours.ca, cert, key });
  const open = (tls: InnerTls) =>
    listenInside({
      services: [
        {
          name: "canary",
          rpcs: [],
          ready: async () => {},
          pages: { paths: [], fetch: async () => new Response("a page") },
        },
      ],
      ...{ host: "127.0.0.1", port: 0, opsPort: 0, opsHost: "127.0.0.1", tls },
      ...{ log: createLog(() => {}), metrics: createMetrics(), readOrigin: () => undefined },
    });
  const [edge, stranger, former] = [
    shown(ours.certify("DNS:gateway")),
    shown(theirs.certify("DNS:gateway")),
    shown(ours.certifyFormer("DNS:gateway")),
  ];
  const asked = ({ port }: { port: number }, tls: InnerTls | undefined, scheme = "https") =>
    remoteReady(`${scheme}://localhost:${port}`, AbortSignal.timeout(60_000), tls).then(
      () => "heard",
      () => "refused",
    );
  afterAll(() => {
    ours.close();
    theirs.close();
  });

  test("hear who is certified by their authority, and nobody else", async () => {
    const inside = open(shown(ours.certify("DNS:localhost")));
    try {
      expect(await asked(inside, edge)).toBe("heard");
      expect(await asked(inside, stranger)).toBe("refused");
      expect(await asked(inside, former)).toBe("refused");
      expect(await asked(inside, undefined)).toBe("refused");
      expect(await asked(inside, undefined, "http")).toBe("refused");
      const nobody = fetch(`https://localhost:${inside.port}/readyz`, { tls: { ca: ours.ca } });
      await expect(nobody).rejects.toThrow();
      expect(await asked(inside, edge)).toBe("heard");
      const base = `https://localhost:${inside.port}/canary`;
      const page = await forwardPages(base, ["/page"], { tls: edge }).fetch(new Request("http://edge/page"));
      expect(await page.text()).toBe("a page");
      // Nothing answers this method over there, and over there it was found out.
      const rpc = createClient(CanaryService, remoteTransport(base, edge)).getTotals({});
      expect((await refusal(rpc)).code).not.toBe(Code.Unavailable);
    } finally {
      await inside.close();
    }
  });

  test("tell nothing to who is called otherwise, is certified by another authority, or was for a time that is over", async () => {
    const impostors = [
      shown(ours.certify("DNS:payment")),
      shown(theirs.certify("DNS:localhost")),
      shown(ours.certifyFormer("DNS:localhost")),
    ];
    for (const impostor of impostors) {
      const inside = open(impostor);
      try {
        expect(await asked(inside, edge)).toBe("refused");
      } finally {
        await inside.close();
      }
    }
  });
});
