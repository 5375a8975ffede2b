// Grafana's dashboards from boards.ts. The JSON lies in observability/grafana/dashboards, where Grafana reads it; `bun run check` compares.
import {
  DashboardBuilder,
  DashboardLinkBuilder,
  DashboardLinkType,
  QueryVariableBuilder,
  VariableRefresh,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { PanelBuilder as LogsPanel } from "@grafana/grafana-foundation-sdk/logs";
import { DataqueryBuilder as LokiQuery } from "@grafana/grafana-foundation-sdk/loki";
import { DataqueryBuilder as PrometheusQuery } from "@grafana/grafana-foundation-sdk/prometheus";
import { PanelBuilder as StatPanel } from "@grafana/grafana-foundation-sdk/stat";
import { PanelBuilder as TablePanel } from "@grafana/grafana-foundation-sdk/table";
import { DataqueryBuilder as TempoQuery, TempoQueryType } from "@grafana/grafana-foundation-sdk/tempo";
import { PanelBuilder as TimeseriesPanel } from "@grafana/grafana-foundation-sdk/timeseries";
import { BOARDS } from "./boards.ts";
import type { Board, Panel } from "./panel.ts";

const PROMETHEUS = { type: "prometheus", uid: "prometheus" };
const LOKI = { type: "loki", uid: "loki" };
const TEMPO = { type: "tempo", uid: "tempo" };
/** Of a grid that is 24 wide. */
const HALF = 12;
const HEIGHT = 8;
/** Grafana serves its public folder; docs/runbooks is mounted there as runbooks. */
const RUNBOOKS = "/public/runbooks";

/** Files by name. */
export function dashboardFiles(): Record<string, string> {
  return Object.fromEntries(
    BOARDS.map((board) => [
      `${board.uid.replace(/^bodega-/, "")}.json`,
      `${JSON.stringify(dashboard(board), null, 2)}\n`,
    ]),
  );
}

function dashboard({ uid, title, about, panels, variable, logs, traces }: Board) {
  const builder = new DashboardBuilder(title)
    .uid(uid)
    .description(about)
    .tags(["bodega"])
    .timezone("browser")
    .refresh("30s")
    .time({ from: "now-1h", to: "now" })
    .links([new DashboardLinkBuilder("Bodega").type(DashboardLinkType.Dashboards).tags(["bodega"]).asDropdown(true)]);
  if (variable)
    builder.withVariable(
      new QueryVariableBuilder(variable.name)
        .label(variable.name)
        .datasource(PROMETHEUS)
        .query(`label_values(${variable.metric}, ${variable.name})`)
        .refresh(VariableRefresh.OnTimeRangeChanged),
    );
  for (const panel of panels) builder.withPanel(picture(panel));
  if (traces)
    builder.withPanel(
      new TablePanel()
        .title("Traces")
        .description("The newest. Each leads to its log lines.")
        .datasource(TEMPO)
        .withTarget(new TempoQuery().refId("A").queryType(TempoQueryType.Traceql).query(traces).limit(20))
        .span(2 * HALF)
        .height(HEIGHT),
    );
  if (logs)
    builder.withPanel(
      new LogsPanel()
        .title("Log lines")
        .description("Each with its trace.")
        .datasource(LOKI)
        .withTarget(new LokiQuery().refId("A").expr(logs))
        .span(2 * HALF)
        .height(HEIGHT),
    );
  return builder.build();
}

function picture({ title, unit, tells, queries, runbook, number }: Panel) {
  const builder = number ? new StatPanel() : new TimeseriesPanel();
  builder.title(title).description(tells).unit(unit).datasource(PROMETHEUS).span(HALF).height(HEIGHT).min(0);
  if (runbook)
    builder.links([
      new DashboardLinkBuilder("What to do").type(DashboardLinkType.Link).url(`${RUNBOOKS}/${runbook}.md`),
    ]);
  queries.forEach(({ expr, legend }, index) => {
    const query = new PrometheusQuery()
      .refId(String.fromCharCode(65 + index))
      .expr(expr)
      .legendFormat(legend);
    builder.withTarget(expr.includes("_bucket") ? query.exemplar(true) : query);
  });
  return builder;
}
