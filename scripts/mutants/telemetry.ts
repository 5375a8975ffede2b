// Bugs of packages/telemetry and of where spans and measurements are made.
import type { Mutant } from "./mutant.ts";

export const TELEMETRY: Mutant[] = [
  {
    name: "telemetry: a measurement carries the path that was asked for",
    file: "services/gateway/watch-requests.ts",
    find: "metrics.edge(protocol, status, seconds());",
    replace: "metrics.edge(asked.path, status, seconds());",
    tests: ["services/gateway/cardinality.test.ts"],
  },
  {
    name: "telemetry: a reminder belongs to the trace of the placing, for a day",
    file: "packages/service/engine/message-spans.ts",
    find: "    ...(later && { after: told }),\n",
    replace: "",
    tests: ["tests/stories/traces.test.ts"],
  },
  {
    name: "telemetry: every service asks again whether a trace is recorded",
    file: "packages/telemetry/trace.ts",
    find: "const sampled = inherits || samples(traceId);",
    replace: "const sampled = samples(traceId);",
    tests: ["tests/stories/traces.test.ts"],
  },
  {
    name: "telemetry: below what is not recorded, spans are",
    file: "packages/telemetry/trace.ts",
    find: "if (inherits && !follows.sampled) return undefined;\n",
    replace: "",
    tests: ["tests/stories/traces.test.ts"],
  },
  {
    name: "telemetry: what is sent does not know its sending",
    file: "packages/service/engine/message-spans.ts",
    find: "return { ...message, traceparent: traceparent(opened.context) };",
    replace: "return message;",
    tests: ["tests/stories/traces.test.ts"],
  },
  {
    name: "delays: a timer counts from when it was set",
    file: "packages/service/engine/handle.ts",
    find: 'since: (kind === "job" ? envelope.due_at : undefined) ?? envelope.time,',
    replace: "since: envelope.time,",
    tests: ["packages/service/engine/delays.test.ts"],
  },
  {
    name: "delays: an effect counts from the end of its lease",
    file: "packages/service/engine/effects.ts",
    find: "since: row.time });",
    replace: "since: row.due_at });",
    tests: ["packages/service/engine/delays.test.ts"],
  },
];
