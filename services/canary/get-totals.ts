import type { App } from "../../packages/service/app.ts";
import { compareBooks } from "./store.ts";

export async function getTotals(app: App) {
  const { oldest, acknowledged_total, delivered_total, ...counts } = await compareBooks(app.sql);
  return {
    ...counts,
    acknowledgedTotal: acknowledged_total,
    deliveredTotal: delivered_total,
    ...(oldest && { oldestUndelivered: durationSince(oldest, app.clock.now()) }),
  };
}

/** The same as figures. A database that is away has none. */
export async function measureTotals({ sql, clock, metrics, log }: App): Promise<void> {
  try {
    const { oldest, acknowledged, delivered, missing, duplicated } = await compareBooks(sql);
    for (const [state, sums] of Object.entries({ acknowledged, delivered, missing, duplicated }))
      metrics.canarySums.set({ state }, Number(sums));
    metrics.canaryOldest.set(oldest ? Math.max(0, clock.now().getTime() - oldest.getTime()) / 1_000 : 0);
  } catch (error) {
    log.warn("canary.unmeasured", { message: String(error) });
    metrics.canarySums.reset();
    metrics.canaryOldest.remove();
  }
}

function durationSince(since: Date, now: Date) {
  const ms = Math.max(0, now.getTime() - since.getTime());
  return { seconds: BigInt(Math.floor(ms / 1_000)), nanos: (ms % 1_000) * 1e6 };
}
