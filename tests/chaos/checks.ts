import type { CaughtState, MailState, OrderState, State } from "./state.ts";

// What must hold after any number of crashes. Each check is a pure function that tells what is wrong, one sentence per wrong thing,
// so that it can be shown a spoilt state (checks.test.ts).

/** How late a deadline may be kept on a busy machine, in real time during which everything was up. What is forgotten is never kept. */
export const LATE_MS_MAX = 60_000;
/** A reminder is mailed three times at most, everything else about an order once. */
const MAILS_MAX: Record<string, number> = { payment_reminder: 3 };

export const CHECKS: Record<string, (state: State) => string[]> = {
  "acknowledged orders lost": lostOrders,
  "keys doubled": doubledKeys,
  "stock that does not add up": wrongStock,
  "mails doubled": doubledMails,
  "mails forgotten": forgottenMails,
  "timers forgotten": forgottenTimers,
  "orders without an end": unfinishedOrders,
  "money that does not add up": wrongMoney,
  "messages parked": ({ parked }) => parked,
  "answers nobody should see": ({ unexpected }) => unexpected,
};

export function lostOrders({ acknowledged, orders, listed }: State): string[] {
  const kept = new Set(orders.map(({ orderId }) => orderId));
  const shown = new Set(listed);
  const told = new Set(acknowledged.map(({ orderId }) => orderId));
  return [
    ...[...told].filter((id) => !kept.has(id)).map((id) => `order ${id} was acknowledged and is not in the database`),
    ...[...kept].filter((id) => !shown.has(id)).map((id) => `order ${id} is in no customer's list`),
  ];
}

export function doubledKeys({ acknowledged, answers, orders }: State): string[] {
  const ordersOf = new Map<string, Set<string>>();
  for (const { customerId, requestId, orderId } of [...acknowledged, ...answers]) {
    const key = `${customerId} ${requestId}`;
    ordersOf.set(key, (ordersOf.get(key) ?? new Set()).add(orderId));
  }
  const answered = new Set(answers.map(({ orderId }) => orderId));
  return [
    ...[...ordersOf].filter(([, ids]) => ids.size > 1).map(([key, ids]) => `key ${key} has orders ${[...ids].join()}`),
    // An order that no key answers is the second one of a key that answers another.
    ...orders.filter(({ orderId }) => !answered.has(orderId)).map(({ orderId }) => `no key answers order ${orderId}`),
  ];
}

export function wrongStock({ stock, orders, differences }: State): string[] {
  const units = (productId: string, which: (order: OrderState) => boolean) =>
    orders
      .filter(which)
      .flatMap(({ lines }) => lines)
      .filter((line) => line.productId === productId)
      .reduce((sum, { quantity }) => sum + quantity, 0);
  return [
    ...(differences > 0 ? [`ledger and columns differ in ${differences} places`] : []),
    ...stock.flatMap(({ productId, onHand, reserved, put }) => {
      const sold = units(productId, ({ status }) => status === "PAID" || status === "COMPLETED");
      const held = units(productId, ({ status, reservation }) => status === "PENDING" && reservation === "RESERVED");
      return [
        ...(onHand + sold === put
          ? []
          : [`product ${productId}: ${onHand} on hand and ${sold} sold are not ${put} put`]),
        ...(reserved === held ? [] : [`product ${productId}: ${reserved} reserved, but open orders hold ${held}`]),
      ];
    }),
  ];
}

/** Counted by what a customer sees, the address and the subject line, which names the order; not by our own ids. */
export function doubledMails({ caught, mails }: State): string[] {
  const written = Map.groupBy(mails, seen);
  return Array.from(Map.groupBy(caught, seen)).flatMap(([mail, copies]) => {
    const rows = written.get(mail) ?? [];
    const allowed = Math.min(rows.length, MAILS_MAX[rows[0]?.template ?? ""] ?? 1);
    const ids = copies.map(({ messageId }) => messageId).join();
    return copies.length > allowed ? [`${mail}: ${copies.length} mails, ${allowed} at most (${ids})`] : [];
  });
}

export function forgottenMails({ caught, mails, orders }: State): string[] {
  const arrived = Map.groupBy(caught, seen);
  const sent = Map.groupBy(
    mails.filter(({ status }) => status === "SENT"),
    seen,
  );
  const templates = new Set(mails.map(({ template, orderId }) => `${template} ${orderId}`));
  const due = ({ orderId, status, paidAt }: OrderState) => [
    `order_received ${orderId}`,
    ...(paidAt ? [`payment_received ${orderId}`] : []),
    ...(status === "COMPLETED" ? [`order_completed ${orderId}`] : []),
    ...(status === "CANCELLED" ? [`order_cancelled ${orderId}`] : []),
  ];
  return [
    ...mails
      .filter(({ status }) => status === "QUEUED" || status === "FAILED")
      .map((mail) => `${seen(mail)}: is ${mail.status}`),
    ...[...sent]
      .filter(([mail, rows]) => (arrived.get(mail)?.length ?? 0) < rows.length)
      .map(([mail]) => `${mail}: is marked sent and was not handed over`),
    ...orders
      .flatMap(due)
      .filter((mail) => !templates.has(mail))
      .map((mail) => `${mail}: was never written`),
  ];
}

function seen({ recipient, subject }: Pick<MailState | CaughtState, "recipient" | "subject">): string {
  return `${recipient} "${subject}"`;
}

export function forgottenTimers({ orders, armed, now, scale, outages }: State): string[] {
  const timers = new Set(armed);
  const lateMs = ({ expiresAt }: OrderState, at: Date) =>
    (at.getTime() - expiresAt.getTime() - downMs(outages, expiresAt, at)) / scale;
  return orders.flatMap((order) => {
    const { orderId, status, cancelReason, cancelledAt } = order;
    if (status === "PENDING") {
      return [
        ...(timers.has(orderId) ? [] : [`order ${orderId} is PENDING and has no timer`]),
        ...(lateMs(order, now) > LATE_MS_MAX ? [`order ${orderId} is PENDING long after its end`] : []),
      ];
    }
    if (cancelReason !== "EXPIRED" || !cancelledAt) return [];
    const late = lateMs(order, cancelledAt);
    if (late < 0) return [`order ${orderId} expired ${-late} ms too early`];
    return late > LATE_MS_MAX ? [`order ${orderId} expired ${late} ms too late`] : [];
  });
}

/** How much of the time between was down. */
export function downMs(outages: State["outages"], since: Date, until: Date): number {
  const overlaps = outages.map(({ from, to }) => Math.min(+to, +until) - Math.max(+from, +since));
  return overlaps.reduce((sum, overlap) => sum + Math.max(0, overlap), 0);
}

/** After a day of business time with nothing left to do, every order has come to its end. */
export function unfinishedOrders({ orders }: State): string[] {
  return orders
    .filter(({ status }) => status !== "COMPLETED" && status !== "CANCELLED")
    .map(({ orderId, status, reservation }) => `order ${orderId} is still ${status}, ${reservation}`);
}

/** The provider's ledger against the orders, each by itself and all together. */
export function wrongMoney({ orders, checkouts }: State): string[] {
  const kept = new Map<string, bigint>();
  for (const { orderId, captured, refunded } of checkouts)
    kept.set(orderId, (kept.get(orderId) ?? 0n) + captured - refunded);
  const owed = new Map(
    orders.map(({ orderId, status, total }) => [orderId, status === "PAID" || status === "COMPLETED" ? total : 0n]),
  );
  const ids = new Set([...kept.keys(), ...owed.keys()]);
  const each = [...ids].flatMap((id) => {
    const [has, wants] = [kept.get(id) ?? 0n, owed.get(id) ?? 0n];
    return has === wants ? [] : [`order ${id}: the provider keeps ${has}, the order is worth ${wants}`];
  });
  const sum = (amounts: Iterable<bigint>) => [...amounts].reduce((total, amount) => total + amount, 0n);
  const [all, worth] = [sum(kept.values()), sum(owed.values())];
  return all === worth ? each : [...each, `the provider keeps ${all} in all, paid orders are worth ${worth}`];
}
