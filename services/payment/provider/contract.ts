import { afterAll, beforeAll, describe, expect } from "bun:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { promisesOf, type Skip } from "../../../tests/kit/promise.ts";
import {
  type Amount,
  type Outcome,
  type PaymentProvider,
  type ProviderEvent,
  SIGNATURE_WINDOW_MS,
} from "./provider.ts";

/** A provider, and the other side of it: its customers, its ledger, its clock. */
export interface ProviderBench {
  provider: PaymentProvider;
  newId(): string;
  /** Makes the checkout's customer decide, and gives the webhook that the provider sends. */
  decide(paymentId: string, kind: Outcome): Promise<Webhook>;
  /** The same event once more, signed anew. */
  redeliver(webhook: Webhook): Promise<Webhook>;
  wait(ms: number): void;
  /** Whether the checkout's page takes money. */
  canBePaid(paymentId: string): Promise<boolean>;
  /** The provider's own word on what it has given back. */
  givenBack(providerReference: string): Promise<bigint[]>;
  close(): Promise<void>;
}

export interface Webhook {
  body: Uint8Array;
  headers: Headers;
}

const AMOUNT: Amount = { currencyCode: "EUR", minorUnits: 1_999n };

/** What every payment provider must do; a declared limit is skipped with its reason. */
export function providerContract(name: string, start: () => Promise<ProviderBench>, skip?: Skip): void {
  describe(`the payment provider contract: ${name}`, () => {
    let bench: ProviderBench;
    beforeAll(async () => {
      bench = await start();
    });
    afterAll(() => bench.close());

    const promise = promisesOf("payment provider", name, skip);

    async function checkout() {
      const order = { paymentId: bench.newId(), orderId: bench.newId(), amount: AMOUNT };
      return { ...order, ...(await bench.provider.createCheckout(order)) };
    }

    async function parse({ body, headers }: Webhook) {
      await bench.provider.verifyWebhook(body, headers);
      return bench.provider.readEvent(body);
    }

    async function captured() {
      const { paymentId } = await checkout();
      const event = await parse(await bench.decide(paymentId, "captured"));
      if (!event) throw new Error("a capture must be of interest");
      return event;
    }

    async function statement(ms: number) {
      const entries: ProviderEvent[] = [];
      for await (const entry of bench.provider.statement(ms)) entries.push(entry);
      return entries;
    }

    const refusal = (body: Uint8Array, headers: Headers) =>
      bench.provider.verifyWebhook(body, headers).then(
        () => "accepted",
        (error: unknown) => (error instanceof ConnectError ? Code[error.code] : String(error)),
      );

    promise("a checkout that is opened twice is one checkout", async () => {
      const first = await checkout();
      const again = await bench.provider.createCheckout(first);
      expect(again).toEqual({ providerReference: first.providerReference, checkoutUrl: first.checkoutUrl });
      expect(URL.canParse(first.checkoutUrl)).toBe(true);
    });

    promise("a payment's id does not name a checkout of another amount", async () => {
      const first = await checkout();
      const other = { ...first, amount: { ...AMOUNT, minorUnits: 1n } };
      await expect(bench.provider.createCheckout(other)).rejects.toThrow();
    });

    for (const kind of ["captured", "declined", "abandoned"] as const) {
      promise(`a checkout that was ${kind} is told by a signed event`, async () => {
        const { paymentId } = await checkout();
        expect(await parse(await bench.decide(paymentId, kind))).toMatchObject({ kind, paymentId, amount: AMOUNT });
      });
    }

    promise("an event keeps its id when it is delivered again", async () => {
      const { paymentId } = await checkout();
      const webhook = await bench.decide(paymentId, "captured");
      const again = await bench.redeliver(webhook);
      const [first, second] = await Promise.all([webhook, again].map(parse));
      expect(second).toEqual(first as NonNullable<typeof first>);
    });

    promise("no body with one byte changed is accepted", async () => {
      const { paymentId } = await checkout();
      const { body, headers } = await bench.decide(paymentId, "captured");
      const answers = new Set<string | undefined>();
      for (let at = 0; at < body.length; at++) {
        for (const flip of [1, 32, 128]) {
          const forged = Uint8Array.from(body, (byte, index) => (index === at ? byte ^ flip : byte));
          answers.add(await refusal(forged, headers));
        }
      }
      for (const forged of [body.slice(1), body.slice(0, -1), new Uint8Array(), new Uint8Array([...body, 32])])
        answers.add(await refusal(forged, headers));
      expect([...answers]).toEqual(["InvalidArgument"]);
    });

    promise("no signature with one character changed, and none at all, is accepted", async () => {
      const { paymentId } = await checkout();
      const { body, headers } = await bench.decide(paymentId, "captured");
      const answers = new Set([await refusal(body, new Headers())]);
      for (const [name, value] of headers) {
        if (!name.endsWith("signature")) continue;
        for (let at = 0; at < value.length; at++) {
          for (const other of ["0", "7", "f", "A", "=", ""]) {
            const forged = `${value.slice(0, at)}${other}${value.slice(at + 1)}`;
            if (forged !== value) answers.add(await refusal(body, new Headers({ [name]: forged })));
          }
        }
      }
      expect([...answers]).toEqual(["InvalidArgument"]);
    });

    promise("a signature is good for five minutes and no longer", async () => {
      const { paymentId } = await checkout();
      const { body, headers } = await bench.decide(paymentId, "captured");
      bench.wait(SIGNATURE_WINDOW_MS - 2_000);
      expect(await refusal(body, headers)).toBe("accepted");
      bench.wait(4_000);
      expect(await refusal(body, headers)).toBe("InvalidArgument");
    });

    promise("a refund that is asked for twice under one id is one refund", async () => {
      const { paymentId, providerReference } = await captured();
      const refund = { refundId: bench.newId(), paymentId, providerReference, amount: AMOUNT };
      await Promise.all([bench.provider.refund(refund), bench.provider.refund(refund)]);
      await bench.provider.refund(refund);
      expect(await bench.givenBack(providerReference)).toEqual([1_999n]);
    });

    promise("parts are given back until nothing is left, and then no more", async () => {
      const { paymentId, providerReference } = await captured();
      const part = (minorUnits: bigint) =>
        bench.provider.refund({
          refundId: bench.newId(),
          paymentId,
          providerReference,
          amount: { ...AMOUNT, minorUnits },
        });
      await part(1_000n);
      await expect(part(1_000n)).rejects.toThrow();
      await part(999n);
      await expect(part(1n)).rejects.toThrow();
      expect((await bench.givenBack(providerReference)).sort()).toEqual([1_000n, 999n]);
    });

    promise("nothing is given back of what was not captured", async () => {
      const { paymentId, providerReference } = await checkout();
      await bench.decide(paymentId, "declined");
      await expect(
        bench.provider.refund({ refundId: bench.newId(), paymentId, providerReference, amount: AMOUNT }),
      ).rejects.toThrow();
      expect(await bench.givenBack(providerReference)).toEqual([]);
    });

    promise("a refund's id does not name a refund of another amount", async () => {
      const { paymentId, providerReference } = await captured();
      const refund = { refundId: bench.newId(), paymentId, providerReference, amount: { ...AMOUNT, minorUnits: 5n } };
      await bench.provider.refund(refund);
      await expect(bench.provider.refund({ ...refund, amount: { ...AMOUNT, minorUnits: 6n } })).rejects.toThrow();
      expect(await bench.givenBack(providerReference)).toEqual([5n]);
    });

    promise("a checkout that was closed has no page to pay on, however often it is closed", async () => {
      const { paymentId, providerReference } = await checkout();
      expect(await bench.canBePaid(paymentId)).toBe(true);
      for (const _ of [1, 2]) expect(await bench.provider.closeCheckout(providerReference)).toBe("closed");
      expect(await bench.canBePaid(paymentId)).toBe(false);
    });

    promise("a checkout that was paid cannot be closed", async () => {
      const { providerReference } = await captured();
      expect(await bench.provider.closeCheckout(providerReference)).toBe("decided");
    });

    promise("the statement has every capture and every refund of its time once, and nothing older", async () => {
      await captured();
      bench.wait(120_000);
      const { paymentId, providerReference } = await captured();
      const refund = { refundId: bench.newId(), paymentId, providerReference, amount: { ...AMOUNT, minorUnits: 700n } };
      await bench.provider.refund(refund);
      await checkout();
      const moved = (await statement(60_000)).filter(({ kind }) => kind !== "abandoned");
      expect(moved).toMatchObject([
        { kind: "captured", paymentId, providerReference, amount: AMOUNT, refundId: null },
        { kind: "refunded", paymentId, amount: refund.amount, refundId: refund.refundId },
      ]);
      expect(new Set(moved.map(({ eventId }) => eventId)).size).toBe(2);
    });
  });
}
