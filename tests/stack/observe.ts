// What stack.observe.yml sees of a stack: the life of an order in Tempo, Loki and Prometheus, and a page for a service that is gone.
import type { Counts } from "../../scripts/command.ts";
import { createAsk } from "../../scripts/observe/ask.ts";
import { until } from "../../scripts/servers/until.ts";
import { SERVICE_NAMES } from "../../services/all.ts";
import { oneOrder } from "../chaos/one-order.ts";
import { createChecks, unless } from "../observability/check.ts";
import { askForOrder } from "../observability/questions.ts";
import type { Trial } from "./trial.ts";
import { openWay } from "./way.ts";

const [TEMPO, LOKI, PROMETHEUS] = ["tempo:3200", "loki:3100", "prometheus:9090"] as const;
/** Any: it tells of itself alone that it is away. */
const GONE = "points";

export async function observeIn({ daemon, swarm, client, shop, pager }: Trial): Promise<Counts> {
  const way = await openWay(daemon, ["observe"], [TEMPO, LOKI, PROMETHEUS]);
  const at = (server: string) => `http://${way.at(server)}`;
  const ask = createAsk(at(TEMPO), at(LOKI), at(PROMETHEUS));
  const checks = createChecks();
  const { check, checkNow } = checks;
  const sees = (what: string, query: string) =>
    check(what, async () => unless((await ask.now(query)).length > 0, () => `${query} finds nothing`));
  try {
    checks.skip("what Grafana shows", "there is nothing to make an image of it of");
    await check("Prometheus is answered by the edge, every service, HAProxy and the collector", async () => {
      const answering = await ask.now("up == 1");
      const named = new Set(answering.map(({ job, service }) => service ?? job));
      const missing = ["gateway", ...SERVICE_NAMES, "haproxy", "collector"].filter((name) => !named.has(name));
      return unless(missing.length === 0, () => `not by ${missing}`);
    });
    await askForOrder(checks, ask, await oneOrder(client, shop));
    await sees("HAProxy counts what it is asked", 'haproxy_frontend_http_requests_total{proxy="edge"} > 0');
    await sees("the collector makes metrics of spans", 'traces_span_metrics_calls_total{service_name="order"}');
    await sees("Tempo tells who calls whom", 'traces_service_graph_request_total{client="gateway", server="order"}');
    await checkNow("in a healthy stack no alert is firing that names a cause", async () => {
      const firing = await ask.now('ALERTS{alertstate="firing", level="cause"}');
      return unless(firing.length === 0, () => JSON.stringify(firing));
    });
    await swarm.scale({ [GONE]: 0 });
    await checkNow("a service of which no task is left is a page", async () => {
      await until(`Alertmanager tells that ${GONE} is down`, async () =>
        pager.pages.some(
          ({ status, alerts }) =>
            status === "firing" &&
            alerts.some(({ labels: { alertname, service } }) => alertname === "ServiceDown" && service === GONE),
        ),
      );
      return undefined;
    });
  } finally {
    await way.close();
  }
  return checks.counts();
}
