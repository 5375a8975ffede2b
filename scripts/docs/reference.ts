// What the platform consists of, read from the definitions it runs by.
import { type AnyDesc, type DescMethod, type DescService, getOption, hasOption } from "@bufbuild/protobuf";
import * as facts from "../../packages/api/facts.ts";
import { OpsService } from "../../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import { Access, AccessSchema, access } from "../../packages/api/gen/bodega/type/v1/access_pb.ts";
import { COMMENTS } from "../../packages/api/gen/comments.ts";
import { http } from "../../packages/api/gen/google/api/annotations_pb.ts";
import type { HttpRule } from "../../packages/api/gen/google/api/http_pb.ts";
import * as jobs from "../../packages/api/jobs.ts";
import type { Fact, Job } from "../../packages/api/messages.ts";
import type { Kept } from "../../packages/database/retention.ts";
import { BROKER_KEEPS } from "../../packages/events/forget.ts";
import { ENGINE_KEEPS } from "../../packages/service/engine/maintenance.ts";
import type { Service } from "../../packages/service/service.ts";
import { BROKER, loadServices, SERVICE_NAMES } from "../../services/all.ts";
import { OPEN, STEPS } from "../../services/kitchen/ticket.ts";
import { MOVES } from "../../services/order/order.ts";
import { MOVES as PAYMENT_MOVES } from "../../services/payment/payment.ts";
import { VERDICTS } from "../../services/points/hold.ts";
import { WHEN_CANCELLED, WHEN_PAID } from "../../services/stock/reservation.ts";
import { type File, importsOf, isTest } from "../tidy/source.ts";
import { ownFiles } from "../tree.ts";

export async function referencePage(): Promise<string> {
  const services = await loadServices(SERVICE_NAMES, {});
  const files = await ownFiles();
  return `# Reference

## RPCs

Connect, gRPC-Web and REST on \`PORT\`, native gRPC on \`GRPC_PORT\`. Who: *anyone* needs no token, *signed in* any token, *owner* sees
what is theirs (admins see all). \`/openapi.json\` has the shapes.

${rpcTables(services)}

## Facts

What happened, told to whoever listens, in order per key. The first word is the topic, but for the
one of \`sum.calculated\`, which is \`user-events\`.

${factTable(services, files)}

## Jobs

What is to be done, by one service, now or at a time. An *effect* calls the outside world, under the job's id as idempotency key.

${jobTable(services, files)}

## States

${states()}

## Tables

How long rows stay in each table. Days are of real time, and what is over is removed within ten minutes, a little at a time. \`bodega_table_bytes\` and
\`bodega_table_rows\` on \`OPS_PORT\` show what each takes.

${tables(services)}
`;
}

function rpcTables(services: Service[]): string {
  const all: DescService[] = [...services.flatMap(({ answers }) => answers.map(({ service }) => service)), OpsService];
  return all
    .map(({ name, methods }) =>
      [
        `### ${name}\n`,
        table(
          ["RPC", "who", "REST", "what"],
          methods.map((method) => [method.name, whoOf(method), restOf(method), says(method)]),
        ),
      ].join("\n"),
    )
    .join("\n\n");
}

function whoOf(method: DescMethod): string {
  if (!hasOption(method, access)) return "nobody";
  const rule = getOption(method, access);
  const word = AccessSchema.value[rule]?.localName.toLowerCase().replace("_", " ") ?? "nobody";
  return rule === Access.UNSPECIFIED ? "nobody" : word;
}

function restOf(method: DescMethod): string {
  if (!hasOption(method, http)) return "";
  const rule = getOption(method, http);
  return [rule, ...rule.additionalBindings].map(pathOf).join(", ");
}

function pathOf({ pattern }: HttpRule): string {
  if (pattern.case === undefined || pattern.case === "custom") throw new Error(`an HTTP rule of kind ${pattern.case}`);
  return `\`${pattern.case.toUpperCase()} ${pattern.value}\``;
}

function factTable(services: Service[], files: File[]): string {
  const rows = Object.entries(facts).map(([name, fact]: [string, Fact]) => {
    const heard = services
      .filter(({ hears }) => hears.some((each) => each.fact === undefined || each.fact === fact))
      .map((service) => service.name);
    const users = usersOf(name, "packages/api/facts.ts", files);
    // Who only hears it may have it in hand too; who has it alone both tells and hears it.
    const others = users.filter((service) => !heard.includes(service));
    const tellers = others.length > 0 ? others : users;
    // Whoever is used by somebody with power tells that.
    if (name === "AuditRecorded") tellers.push(...usersOf("audit", "packages/service/audit.ts", files));
    else if (tellers.length !== 1)
      throw new Error(`${fact.type} is told by ${tellers.join(", ") || "nobody"}: expected one service`);
    return [`\`${fact.type}\``, tellers.join(", "), heard.join(", ") || "nobody yet", says(fact.schema)];
  });
  return table(["fact", "told by", "heard by", "what"], rows);
}

function jobTable(services: Service[], files: File[]): string {
  const names = new Map(Object.entries(jobs).map(([name, job]: [string, Job]) => [job.type, name]));
  const rows = services.flatMap((service) =>
    service.does.map((work) => {
      const { job } = work;
      const name = names.get(job.type);
      const askers = name ? usersOf(name, "packages/api/jobs.ts", files) : [service.name];
      const kind = "perform" in work ? "effect" : "job";
      // A job that a service keeps to itself borrows another's body, and so has no words of its own in the protos.
      return [
        `\`${job.type}\``,
        kind,
        askers.join(", ") || "nobody",
        service.name,
        name ? says(job.schema) : "inside its service",
      ];
    }),
  );
  const undone = Object.values(jobs).filter(
    (job) => !services.some(({ does }) => does.some((work) => work.job === job)),
  );
  if (undone.length > 0) throw new Error(`nobody does ${undone.map(({ type }) => type).join(", ")}`);
  return table(["job", "kind", "asked for by", "done by", "what"], rows);
}

/** The services whose code has the thing itself, not its type alone, outside their table of contents. */
function usersOf(name: string, module: string, files: File[]): string[] {
  const users = files.filter(({ path, text }) => {
    if (!/^services\/\w+\/.*\.tsx?$/.test(path) || isTest(path) || path.endsWith("/service.ts")) return false;
    const takes = new RegExp(`import \\{[^}]*\\b${name}\\b[^}]*\\} from "[./]*${module}"`);
    return importsOf({ path, text }).some(({ to }) => to === module) && takes.test(text);
  });
  return [...new Set(users.map(({ path }) => path.split("/")[1] ?? ""))];
}

/** The first sentence of what the proto says of it. "Fact order.paid: …" names what the table names already. */
function says(part: AnyDesc): string {
  const [sentence = ""] = /^.*?\.(?= |$)/.exec(COMMENTS[String(part)] ?? "") ?? [];
  return sentence.replace(/^(?:Fact|Job) [\w.-]+?(?:: |\.$)/, "");
}

function tables(services: Service[]): string {
  const lists: [string, Kept[]][] = [
    ["every service", ENGINE_KEEPS],
    ...services.map(({ name, keeps = [] }): [string, Kept[]] => [name, keeps]),
    [BROKER, BROKER_KEEPS],
  ];
  return table(
    ["service", "table", "kept", "why"],
    lists.flatMap(([service, kept]) => kept.map(({ table, keeps, why }) => [service, `\`${table}\``, keeps, why])),
  );
}

function states(): string {
  const order = Object.entries(MOVES).flatMap(([from, tos]) => tos.map((to): Move => [from, to]));
  const payment = Object.entries(PAYMENT_MOVES).flatMap(([event, { from, to }]) =>
    from.map((each): Move => [each, to, event]),
  );
  const ticket = [
    ...Object.entries(STEPS).map(([to, { from, fact }]): Move => [from, to, fact.type]),
    ...OPEN.map((from): Move => [from, "CANCELLED", "order.cancelled"]),
  ];
  const held = [...movesBy("order.paid", WHEN_PAID), ...movesBy("order.cancelled", WHEN_CANCELLED)];
  return [
    diagram("An order", "PENDING", order),
    diagram("A payment", "PENDING", [...payment, ["CAPTURED", "REFUNDED", "all of it is back"]]),
    diagram("A ticket", "QUEUED", ticket),
    diagram("A reservation", "RESERVED", held),
    diagram(
      "A hold on points",
      "HELD",
      Object.entries(VERDICTS).flatMap(([verdict, table]) => movesBy(verdict, table)),
    ),
  ].join("\n\n");
}

type Move = [from: string, to: string, by?: string];

function movesBy(by: string, table: Record<string, { to: string } | "impossible" | null>): Move[] {
  return Object.entries(table).flatMap(([from, move]) =>
    move === null || move === "impossible" ? [] : [[from, move.to, by]],
  );
}

function diagram(title: string, first: string, moves: Move[]): string {
  const ends = [...new Set(moves.map(([, to]) => to))].filter((state) => !moves.some(([from]) => from === state));
  const lines = [
    `  [*] --> ${first}`,
    ...moves.map(([from, to, by]) => `  ${from} --> ${to}${by ? `: ${by}` : ""}`),
    ...ends.map((end) => `  ${end} --> [*]`),
  ];
  return `### ${title}\n\n\`\`\`mermaid\nstateDiagram-v2\n${lines.join("\n")}\n\`\`\``;
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
