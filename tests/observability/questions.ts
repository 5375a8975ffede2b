// What a person asks about an order, and every query of every dashboard.
import { type Ask, orphansIn } from "../../scripts/observe/ask.ts";
import { judge, type Panel, panels } from "../../scripts/observe/panels.ts";
import { type Checks, unless } from "./check.ts";

const TRACES = ["collector", "tempo"];
const SERVICES = [
  "gateway",
  "order",
  "stock",
  "payment",
  "kitchen",
  "mail",
  "points",
  "product",
  "activity",
  "eventlog",
];

/** `orderId` is of an order that was paid. */
export async function askForOrder({ check }: Checks, ask: Ask, orderId: string): Promise<void> {
  await check(
    "Tempo has the life of an order by its id: every service, and no span without its parent",
    async () => {
      const ids = await ask.search(`{ span.bodega.order.id = "${orderId}" }`);
      const traces = await Promise.all(ids.map((id) => ask.trace(id)));
      const services = new Set(traces.flatMap((trace) => [...trace.services]));
      const missing = SERVICES.filter((name) => !services.has(name));
      const orphans = traces.flatMap(orphansIn);
      return unless(
        missing.length === 0 && orphans.length === 0,
        () => `missing ${missing}, without a parent ${orphans}`,
      );
    },
    TRACES,
  );
  await check("Loki has its lines by their trace id: of who placed it, and of who heard of it", async () => {
    const ids = await ask.search(`{ span.bodega.order.id = "${orderId}" && name =~ ".*/PlaceOrder" }`);
    const lines = await Promise.all(ids.map((id) => ask.lines(`{service_namespace="bodega"} | trace_id="${id}"`)));
    const services = new Set(lines.flat().map(({ labels }) => labels["service_name"]));
    return unless(
      services.has("order") && services.has("stock") && services.has("mail"),
      () => `lines of ${[...services]} for ${ids}`,
    );
  }, [...TRACES, "loki"]);
  await check("and every line that names an order and a span belongs to a trace that Tempo has, with that span", async () => {
    const lines = await ask.lines(`{service_namespace="bodega"} | order_id="${orderId}" | span_id!=""`);
    if (lines.length === 0) return "there is no such line";
    const ids = new Set(lines.map(({ labels }) => labels["trace_id"] ?? ""));
    const traces = await Promise.all([...ids].map((id) => ask.trace(id)));
    const spans = new Set(traces.flatMap((trace) => trace.spans.map(({ spanId }) => hexOf(spanId))));
    const lost = lines.filter(({ labels }) => !spans.has(labels["span_id"] ?? ""));
    return unless(lost.length === 0, () => lost.map(({ text, labels }) => `${text} of ${labels["span_id"]}`).join());
  }, [...TRACES, "loki"]);
  await check(
    "an exemplar of Prometheus leads to a trace",
    async () => {
      const [id] = await ask.exemplars('bodega_rpc_duration_seconds_bucket{method="PlaceOrder"}');
      if (!id) return "there is none";
      const { spans } = await ask.trace(id);
      return unless(
        spans.some(({ name }) => name.endsWith("/PlaceOrder")),
        () => `${id} is another's`,
      );
    },
    TRACES,
  );
}

export async function askPanels({ check }: Checks, ask: Ask): Promise<void> {
  const services = await ask.values("bodega_rpc_duration_seconds_count", "service");
  for (const panel of panels())
    await check(`${panel.board}: ${panel.title}`, () => judge(ask, panel, services), needsOf(panel));
  await check("a panel whose metric was renamed is noticed", async () => {
    const [moves] = panels().filter(({ query }) => query.includes("bodega_moves_total"));
    if (!moves) return "there is no such panel";
    const renamed = { ...moves, query: moves.query.replace("bodega_moves_total", "bodega_move_total") };
    return unless((await judge(ask, renamed, services)) !== undefined, () => "it is not");
  });
}

/** What the collector and Tempo make of spans is in Prometheus. */
function needsOf({ source, query }: Panel): string[] {
  if (source === "prometheus") return /\b(traces|otelcol)_/.test(query) ? TRACES : [];
  return source === "loki" ? ["collector", "loki"] : TRACES;
}

/** Tempo writes ids in base64. */
function hexOf(id: string): string {
  return Buffer.from(id, "base64").toString("hex");
}
