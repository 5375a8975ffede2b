import { Code } from "@connectrpc/connect";
import { Problem, type ReconcileRequest } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { ApplyProviderEvent } from "../../packages/api/jobs.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { audit } from "../../packages/service/audit.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { refused } from "../../packages/service/errors.ts";
import type { Schedule } from "../../packages/service/service.ts";
import type { PaymentConfig } from "./config.ts";
import { money } from "./payment.ts";
import type { Amount, ProviderEvent } from "./provider/provider.ts";
import { findBooks, type Lacking, listNotApplied, listOwed, listUnseen } from "./reconcile-store.ts";
import { compare, PROBLEMS, type ProblemName } from "./statement.ts";
import { insertEvent } from "./store.ts";

interface Difference {
  problem: ProblemName;
  paymentId: string;
  providerReference: string;
  kind: string;
  ours?: Amount;
  theirs?: Amount;
  mended: boolean;
}

interface Report {
  differences: Difference[];
  entriesChecked: number;
}

const HOUR_MS = 3_600_000;
const HOURS = 24;
const ENTRIES_MAX = 10_000;
const COMPARED_AT_ONCE = 500;
/** What is younger may be on its way. */
const GRACE_MS = 10 * 60_000;
/** Two clocks, and a second that Stripe rounds to. */
const SKEW_MS = 60_000;

export const RECONCILE: Schedule<PaymentConfig> = {
  name: "reconcile-payments",
  everyMs: HOUR_MS,
  async run(app) {
    const { differences, entriesChecked } = await compareBooks(app, HOURS);
    app.log.info("reconcile.done", { entries: entriesChecked, differences: differences.length });
  },
};

export async function reconcile(app: App<PaymentConfig>, caller: Caller, req: ReconcileRequest) {
  const hours = req.hours || HOURS;
  const record = (tx: Tx) =>
    audit(app, tx, caller, { subject: app.config.provider(app).name, detail: `the last ${hours} hours` });
  const { differences, entriesChecked } = await compareBooks(app, hours, record);
  return { entriesChecked, differences: differences.map((each) => ({ ...each, problem: Problem[each.problem] })) };
}

/** Theirs against ours, then ours against theirs. An event that never came is acted on as if it had come now, which is safe at any time. */
async function compareBooks(
  app: App<PaymentConfig>,
  hours: number,
  record: (tx: Tx) => void = () => {},
): Promise<Report> {
  const { name } = app.config.provider(app);
  const since = app.clock.soon(-hours * HOUR_MS + SKEW_MS);
  const until = app.clock.soon(-GRACE_MS);
  const entries = await statementOf(app, hours * HOUR_MS);
  const differences: Difference[] = [];
  for (let at = 0; at < entries.length; at += COMPARED_AT_ONCE)
    differences.push(...(await compareEach(app, entries.slice(at, at + COMPARED_AT_ONCE))));
  const mended = new Set(differences.filter((each) => each.mended).map(nameOf));
  await app.transact(async (tx) => {
    for (const entry of entries) if (mended.has(nameOf(entry))) await mend(app, tx, entry);
    record(tx);
  });
  const captured = entries.filter(({ kind }) => kind === "captured").map(({ paymentId }) => paymentId);
  const refunded = entries.flatMap(({ refundId }) => refundId ?? []);
  const period = { provider: name, since, until };
  differences.push(...lacking("NOT_AT_PROVIDER", await listUnseen(app.sql, period, captured, refunded)));
  differences.push(...lacking("NOT_APPLIED", await listNotApplied(app.sql, period)));
  differences.push(...lacking("OWED", await listOwed(app.sql, period)));
  report(app, differences);
  return { differences, entriesChecked: entries.length };
}

const nameOf = ({ kind, providerReference }: { kind: string; providerReference: string }) =>
  `${kind} ${providerReference}`;

async function statementOf(app: App<PaymentConfig>, ms: number): Promise<ProviderEvent[]> {
  const entries: ProviderEvent[] = [];
  for await (const entry of app.config.provider(app).statement(ms)) {
    if (entries.push(entry) > ENTRIES_MAX)
      throw refused(
        Code.OutOfRange,
        "TOO_MANY_ENTRIES",
        `the provider has more than ${ENTRIES_MAX} entries in ${ms / HOUR_MS} hours: ask for fewer hours`,
      );
  }
  return entries;
}

async function compareEach(app: App<PaymentConfig>, entries: ProviderEvent[]): Promise<Difference[]> {
  const ids = entries.map(({ paymentId }) => paymentId);
  const { payments, refunds } = await findBooks(app.sql, ids);
  const found: Difference[] = [];
  for (const entry of entries) {
    const { paymentId, kind, providerReference, refundId, amount } = entry;
    const payment = payments.get(paymentId);
    const refund = refunds.find(
      (each) =>
        each.payment_id === paymentId && (each.refund_id === refundId || each.provider_reference === providerReference),
    );
    const problem = compare(entry, { payment, refund });
    if (!problem) continue;
    const ours = payment && money(payment, refund?.amount_minor_units ?? payment.amount_minor_units);
    found.push({
      problem,
      paymentId,
      providerReference,
      kind,
      theirs: amount,
      mended: problem === "MISSED",
      ...(ours && { ours }),
    });
  }
  return found;
}

/** It takes the way of every event from here on. */
async function mend(app: App<PaymentConfig>, tx: Tx, entry: ProviderEvent): Promise<void> {
  const { name: provider } = app.config.provider(app);
  const body = Buffer.from(JSON.stringify(entry, (_, value) => (typeof value === "bigint" ? String(value) : value)));
  const { eventId, paymentId } = entry;
  await insertEvent(tx.sql, provider, entry, body, app.clock.now());
  tx.enqueue(ApplyProviderEvent, { provider, eventId, paymentId });
}

function lacking(problem: ProblemName, rows: Lacking[]): Difference[] {
  return rows.map(({ payment_id, provider_reference, kind, currency_code, amount_minor_units }) => ({
    problem,
    paymentId: payment_id,
    providerReference: provider_reference ?? "",
    kind,
    ours: { currencyCode: currency_code, minorUnits: amount_minor_units },
    mended: false,
  }));
}

function report(app: App<PaymentConfig>, differences: Difference[]): void {
  for (const name of PROBLEMS) {
    const left = differences.filter(({ problem, mended }) => problem === name && !mended).length;
    app.metrics.differences.set({ service: app.service, problem: name.toLowerCase() }, left);
  }
  for (const { problem, paymentId, providerReference, kind, mended } of differences) {
    const about = { problem, payment_id: paymentId, reference: providerReference, kind, mended };
    if (mended) app.log.warn("reconcile.mended", about);
    else app.log.error("reconcile.difference", "our books and the provider's differ", about);
  }
}
