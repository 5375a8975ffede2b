import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ConnectError } from "@connectrpc/connect";
import { OpsService } from "../../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import { OrderStatus, Reservation } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { PaymentService, PaymentStatus } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { ApplyProviderEvent } from "../../packages/api/jobs.ts";
import { reasonOf, retryAfterMs } from "../../packages/service/errors.ts";
import { ask } from "../../tests/kit/messages.ts";
import { type PaymentSystem, providerEvent, startPaymentSystem, TOTAL } from "../../tests/kit/services/payment.ts";
import type { Status } from "./payment.ts";

let system: PaymentSystem;
beforeAll(async () => {
  system = await startPaymentSystem();
});
afterAll(() => system.close());

const refusal = (call: Promise<unknown>) =>
  call.then(
    () => "done",
    (error: unknown) => reasonOf(ConnectError.from(error)) ?? String(error),
  );

const toldOf = (paymentId: string) => system.told.filter(({ key }) => key === paymentId).map(({ type }) => type);

describe("starting a payment", () => {
  test("opens a checkout for what the order costs, and answers the same while it is open", async () => {
    const { orderId, customerId } = system.givenOrder();
    const { payment } = await system.payments.startPayment({ orderId });
    expect(payment).toMatchObject({
      orderId,
      customerId,
      status: PaymentStatus.PENDING,
      amount: TOTAL,
      provider: "embedded",
    });
    expect(payment?.checkoutUrl).toBe(`http://127.0.0.1:8080/pay/${payment?.paymentId}`);
    expect((await system.payments.startPayment({ orderId })).payment).toEqual(payment);
  });

  test("at once, ten times, is one payment", async () => {
    const { orderId } = system.givenOrder();
    const answers = await Promise.all(Array.from({ length: 10 }, () => system.payments.startPayment({ orderId })));
    expect(new Set(answers.map(({ payment }) => payment?.paymentId)).size).toBe(1);
    expect(answers.every(({ payment }) => payment?.checkoutUrl)).toBe(true);
    const [row] = await system.payment
      .sql`select count(*)::int as count from provider_checkouts where order_id = ${orderId}`;
    expect(row?.["count"]).toBe(1);
  });

  test("after a crash before the provider was asked, the next start opens that payment's checkout", async () => {
    const { orderId } = system.givenOrder();
    const { payment } = await system.payments.startPayment({ orderId });
    const paymentId = payment?.paymentId ?? "";
    await system.payment
      .sql`update payments set checkout_url = null, provider_reference = null where payment_id = ${paymentId}`;
    await system.payment.sql`delete from provider_checkouts where payment_id = ${paymentId}`;
    expect((await system.payments.startPayment({ orderId })).payment).toEqual(payment);
    expect((await system.http(`/pay/${paymentId}`)).status).toBe(200);
  });

  for (const outcome of ["declined", "abandoned"] as const) {
    test(`opens a new one after one that was ${outcome}`, async () => {
      const { paymentId, orderId } = await system.started();
      await system.decide(paymentId, outcome);
      const { payment } = await system.payments.startPayment({ orderId });
      expect(payment?.paymentId).not.toBe(paymentId);
      expect((await system.payments.getPayment({ orderId })).payment).toEqual(payment);
    });
  }

  test("is refused in every state of order and reservation but PENDING and RESERVED", async () => {
    const found: Record<string, string> = {};
    for (const [name, status] of Object.entries(OrderStatus)) {
      for (const [held, reservation] of Object.entries(Reservation)) {
        if (!status || !reservation) continue;
        const { orderId } = system.givenOrder({ status, reservation });
        found[`${name} ${held}`] = await refusal(system.payments.startPayment({ orderId }));
      }
    }
    const expected = Object.fromEntries(Object.keys(found).map((state) => [state, "ORDER_NOT_PAYABLE"]));
    expect(found).toEqual({ ...expected, "PENDING RESERVED": "done", "PENDING AWAITING": "NOT_RESERVED_YET" });
  });

  test("too early says when to come again", async () => {
    const { orderId } = system.givenOrder({ reservation: Reservation.AWAITING });
    const error = ConnectError.from(await system.payments.startPayment({ orderId }).catch((each: unknown) => each));
    expect(retryAfterMs(error)).toBe(200);
  });

  test("is refused once the money is there, though the order does not know yet", async () => {
    const { paymentId, orderId } = await system.started();
    await system.decide(paymentId, "succeeded");
    expect(await refusal(system.payments.startPayment({ orderId }))).toBe("ORDER_NOT_PAYABLE");
  });
});

describe("provider events", () => {
  const WAYS: Record<Status, ("succeeded" | "declined" | "abandoned" | "refund")[]> = {
    PENDING: [],
    FAILED: ["declined"],
    ABANDONED: ["abandoned"],
    CAPTURED: ["succeeded"],
    REFUNDED: ["succeeded", "refund"],
  };
  /** state before → kind of event → state after, and what is told. */
  const TABLE: Record<Status, Record<string, [Status, string[]]>> = {
    PENDING: {
      captured: ["CAPTURED", ["payment.captured"]],
      declined: ["FAILED", ["payment.failed"]],
      abandoned: ["ABANDONED", []],
    },
    FAILED: { captured: ["CAPTURED", ["payment.captured"]], declined: ["FAILED", []], abandoned: ["FAILED", []] },
    ABANDONED: {
      captured: ["CAPTURED", ["payment.captured"]],
      declined: ["ABANDONED", []],
      abandoned: ["ABANDONED", []],
    },
    CAPTURED: { captured: ["CAPTURED", []], declined: ["CAPTURED", []], abandoned: ["CAPTURED", []] },
    REFUNDED: { captured: ["REFUNDED", []], declined: ["REFUNDED", []], abandoned: ["REFUNDED", []] },
  };

  for (const [before, row] of Object.entries(TABLE) as [Status, (typeof TABLE)[Status]][]) {
    for (const [kind, [after, facts]] of Object.entries(row)) {
      test(`${kind} finds ${before} and leaves ${after}`, async () => {
        const { paymentId } = await system.started();
        for (const way of WAYS[before]) {
          if (way !== "refund") await system.decide(paymentId, way);
          else
            await system.as("admin", PaymentService).refundPayment({ requestId: paymentId, paymentId, reason: "test" });
          await system.settle();
        }
        expect((await system.rowOf(paymentId)).status).toBe(before);
        const already = toldOf(paymentId).length;
        expect((await system.post(providerEvent(kind, paymentId))).status).toBe(200);
        await system.settle();
        expect((await system.rowOf(paymentId)).status).toBe(after);
        expect(toldOf(paymentId).slice(already)).toEqual(facts);
      });
    }
  }

  test("three copies at once, and one more later, are one capture", async () => {
    const { paymentId } = await system.started();
    const event = providerEvent("captured", paymentId);
    const answers = await Promise.all([system.post(event), system.post(event), system.post(event)]);
    await system.settle();
    answers.push(await system.post(event));
    await system.settle();
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(toldOf(paymentId)).toEqual(["payment.captured"]);
  });

  test("every order of a decline, an abandonment and two captures ends with the money taken once", async () => {
    const kinds = ["captured", "declined", "abandoned", "captured"];
    for (let turn = 0; turn < kinds.length; turn++) {
      const { paymentId } = await system.started();
      const order = [...kinds.slice(turn), ...kinds.slice(0, turn)];
      for (const [index, kind] of order.entries())
        await system.post(providerEvent(kind, paymentId, {}, `event_${paymentId}_${index}`));
      await system.settle();
      expect((await system.rowOf(paymentId)).status).toBe("CAPTURED");
      expect(toldOf(paymentId).filter((type) => type === "payment.captured")).toHaveLength(1);
    }
  });

  test("an applied event that is applied again moves nothing", async () => {
    const { paymentId } = await system.started();
    await system.post(providerEvent("captured", paymentId));
    await system.settle();
    await ask(system, ApplyProviderEvent, { provider: "embedded", eventId: `event_${paymentId}_captured`, paymentId });
    expect(toldOf(paymentId)).toEqual(["payment.captured"]);
  });

  const parkedOf = (paymentId: string) =>
    system.payment.sql<
      { error: string; attempts: number }[]
    >`select error, attempts from parked where key = ${paymentId}`;

  for (const [title, fields] of [
    ["amount", { minor_units: "1998" }],
    ["currency", { currency_code: "USD" }],
  ] as const) {
    test(`a capture of another ${title} than was asked for is parked at once, not believed`, async () => {
      const { paymentId } = await system.started();
      expect((await system.post(providerEvent("captured", paymentId, fields))).status).toBe(200);
      await system.settle();
      const [parked] = await parkedOf(paymentId);
      expect(parked).toMatchObject({ attempts: 1, error: expect.stringContaining("asked for 1999 EUR") });
      expect((await system.rowOf(paymentId)).status).toBe("PENDING");
      expect(
        system.lines.some(
          ({ level, event, key }) => level === "error" && event === "message.parked" && key === paymentId,
        ),
      ).toBe(true);
    });
  }

  test("an event about a payment nobody knows is tried again, then parked, and blocks nobody", async () => {
    const unknown = system.random.id();
    const { paymentId } = await system.started();
    await system.post(providerEvent("captured", unknown));
    await system.decide(paymentId, "succeeded");
    await system.advance(3_600_000);
    expect((await parkedOf(unknown))[0]).toMatchObject({
      attempts: expect.any(Number),
      error: expect.stringContaining("there is no payment"),
    });
    expect((await system.rowOf(paymentId)).status).toBe("CAPTURED");
  });

  test("an unsigned event is refused, and one of no interest is heard: both leave nothing", async () => {
    const { paymentId } = await system.started();
    const body = JSON.stringify(providerEvent("captured", paymentId));
    const unsigned = await system.http("/webhooks/embedded", { method: "POST", body });
    expect(unsigned.status).toBe(400);
    expect(unsigned.headers.get("content-type")).toBe("application/problem+json");
    expect(await unsigned.json()).toMatchObject({
      reason: "BAD_SIGNATURE",
      code: "invalid_argument",
      trace_id: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
    expect((await system.post(providerEvent("viewed", paymentId))).status).toBe(200);
    await system.settle();
    expect(await system.payment.sql`select 1 from provider_events where payment_id = ${paymentId}`).toHaveLength(0);
    expect((await system.rowOf(paymentId)).status).toBe("PENDING");
  });

  test("a signed event that nobody can understand is heard, and parked at once with its bytes", async () => {
    const ops = system.as("admin", OpsService);
    const before = (await ops.listParked({})).parked.map(({ parkedId }) => parkedId);
    const unreadable = [providerEvent("captured", "not-a-uuid"), { type: "checkout.captured" }];
    for (const event of unreadable) expect((await system.post(event)).status).toBe(200);
    await system.settle();
    const parked = (await ops.listParked({})).parked.filter(({ parkedId }) => !before.includes(parkedId));
    expect(parked.map(({ type, attempts }) => [type, attempts])).toEqual([
      ["payment.read-webhook", 1],
      ["payment.read-webhook", 1],
    ]);
    const bodies = parked.map(({ body }) => Buffer.from(JSON.parse(body).body, "base64").toString());
    expect(bodies.toSorted()).toEqual(unreadable.map((event) => JSON.stringify(event)).toSorted());
  });

  test("text that PostgreSQL cannot hold does not lose the event: it is kept as it came, and what follows is cleaned", async () => {
    const { paymentId } = await system.started();
    await system.post(providerEvent("declined", paymentId, { reason: "no\0 money \ud83d" }));
    await system.settle();
    expect((await system.rowOf(paymentId)).status).toBe("FAILED");
    const [told] = system.told.filter(({ key }) => key === paymentId);
    expect(told?.body).toMatchObject({ reason: "no\ufffd money \ufffd" });
    const [event] = await system.payment.sql<
      { body: Uint8Array }[]
    >`select body from provider_events where payment_id = ${paymentId}`;
    expect(Buffer.from(event?.body ?? []).toString()).toContain("no\\u0000 money \\ud83d");
  });
});

describe("who sees what", () => {
  test("others get NOT_FOUND, an admin sees all but does not pay, nobody is let in without a token", async () => {
    const { paymentId, orderId } = await system.started();
    const other = system.as(system.newCustomer(), PaymentService);
    const admin = system.as("admin", PaymentService);
    const anonymous = system.as("anonymous", PaymentService);
    expect(await refusal(other.getPayment({ paymentId }))).toBe("PAYMENT_NOT_FOUND");
    expect(await refusal(other.getPayment({ orderId }))).toBe("PAYMENT_NOT_FOUND");
    expect(await refusal(other.startPayment({ orderId }))).toContain("not_found");
    expect((await other.listPayments({ orderId })).payments).toEqual([]);
    expect((await admin.getPayment({ paymentId })).payment?.customerId).toBe(system.customer.userId);
    expect(await refusal(admin.startPayment({ orderId }))).toBe("ORDER_NOT_FOUND");
    expect(await refusal(system.payments.refundPayment({ requestId: "1", paymentId, reason: "mine" }))).toBe(
      "PERMISSION_DENIED",
    );
    for (const call of [
      anonymous.getPayment({ paymentId }),
      anonymous.listPayments({}),
      anonymous.startPayment({ orderId }),
    ]) {
      expect(await refusal(call)).toBe("UNAUTHENTICATED");
    }
  });

  test("pages show the newest first and end", async () => {
    const buyer = system.newCustomer();
    const client = system.as(buyer, PaymentService);
    const made: string[] = [];
    for (let i = 0; i < 5; i++) {
      const { orderId } = system.givenOrder({ customerId: buyer.userId });
      made.unshift((await client.startPayment({ orderId })).payment?.paymentId ?? "");
    }
    const seen: string[] = [];
    let pageToken = "";
    do {
      const page = await client.listPayments({ pageSize: 2, pageToken });
      seen.push(...page.payments.map((payment) => payment.paymentId));
      pageToken = page.nextPageToken;
    } while (pageToken);
    expect(seen).toEqual(made);
    expect(await refusal(client.listPayments({ pageToken: "' or true" }))).toBe("INVALID_ARGUMENT");
  });
});
