// Questions to Prometheus, Tempo and Loki.

interface Span {
  spanId: string;
  parentSpanId?: string;
  name: string;
}

/** A trace as Tempo has it. */
export interface Trace {
  services: Set<string>;
  spans: Span[];
}

export interface Series {
  metric: Record<string, string>;
  values: [number, string][];
}

/** From when to when, and how far apart its points are: seconds since 1970. */
export interface Over {
  start: number;
  end: number;
  step: number;
}

/** A log line with what it is found by. */
export interface LogLine {
  text: string;
  labels: Record<string, string>;
}

export function createAsk(tempo: string, loki: string, prometheus: string) {
  async function json(url: string): Promise<unknown> {
    const res = await fetch(url, { signal: AbortSignal.timeout(20_000) });
    if (!res.ok) throw new Error(`${url} answered ${res.status}: ${await res.text()}`);
    return res.json();
  }
  const seconds = () => Math.floor(Date.now() / 1_000);
  return {
    /** The labels of what a query finds now. */
    async now(query: string): Promise<Record<string, string>[]> {
      const { data } = (await json(`${prometheus}/api/v1/query?${new URLSearchParams({ query })}`)) as {
        data: { result: { metric: Record<string, string> }[] };
      };
      return data.result.map(({ metric }) => metric);
    },
    /** A query over time; left out, the last minutes, every two seconds. */
    async range(query: string, over: Over = { start: seconds() - 300, end: seconds(), step: 2 }): Promise<Series[]> {
      const asked = new URLSearchParams({ query, ...stringsOf(over) });
      const { data } = (await json(`${prometheus}/api/v1/query_range?${asked}`)) as { data: { result: Series[] } };
      return data.result;
    },
    async values(metric: string, label: string): Promise<string[]> {
      const { data } = (await json(
        `${prometheus}/api/v1/label/${label}/values?${new URLSearchParams({ "match[]": metric })}`,
      )) as { data: string[] };
      return data;
    },
    /** Ids of the traces that examples of a histogram lead to. */
    async exemplars(query: string): Promise<string[]> {
      const over = new URLSearchParams({ query, start: String(seconds() - 600), end: String(seconds() + 5) });
      const { data } = (await json(`${prometheus}/api/v1/query_exemplars?${over}`)) as {
        data: { exemplars: { labels: Record<string, string> }[] }[];
      };
      return data.flatMap(({ exemplars }) => exemplars.flatMap(({ labels }) => labels["trace_id"] ?? []));
    },
    /** Log lines of the last minutes that LogQL finds, the newest thousand. */
    async lines(query: string): Promise<LogLine[]> {
      const over = new URLSearchParams({ query, limit: "1000", since: "10m" });
      const { data } = (await json(`${loki}/loki/api/v1/query_range?${over}`)) as {
        data: { result: { stream: Record<string, string>; values: [string, string][] }[] };
      };
      return data.result.flatMap(({ stream, values }) => values.map(([, text]) => ({ text, labels: stream })));
    },
    /** Ids of the traces that TraceQL finds, whole: Tempo leaves out the noughts that one begins with. */
    async search(q: string): Promise<string[]> {
      const over = new URLSearchParams({ q, limit: "50", start: String(seconds() - 600), end: String(seconds() + 5) });
      const { traces = [] } = (await json(`${tempo}/api/search?${over}`)) as { traces?: { traceID: string }[] };
      return traces.map(({ traceID }) => traceID.padStart(32, "0"));
    },
    async trace(id: string): Promise<Trace> {
      const { batches } = (await json(`${tempo}/api/traces/${id}`)) as {
        batches: {
          resource: { attributes: { key: string; value: { stringValue?: string } }[] };
          scopeSpans: { spans: Span[] }[];
        }[];
      };
      const named = batches.flatMap(({ resource }) => resource.attributes.filter(({ key }) => key === "service.name"));
      return {
        services: new Set(named.flatMap(({ value }) => value.stringValue ?? [])),
        spans: batches.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
      };
    },
  };
}

function stringsOf({ start, end, step }: Over) {
  return { start: String(start), end: String(end), step: String(step) };
}

export type Ask = ReturnType<typeof createAsk>;

/** Names of the spans whose parent is not in the trace. */
export function orphansIn({ spans }: Trace): string[] {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  return spans.flatMap(({ parentSpanId, name }) => (parentSpanId && !ids.has(parentSpanId) ? name : []));
}
