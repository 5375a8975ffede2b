// What `bodega doctor` examines: one function a part, which tells what it found and what to do. What cannot be asked is told as such.
import { durationMs } from "@bufbuild/protobuf/wkt";
import { version } from "../../package.json";
import { AuthService, RoleSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { CanaryService } from "../../packages/api/gen/bodega/canary/v1/canary_pb.ts";
import { EventLogService } from "../../packages/api/gen/bodega/eventlog/v1/eventlog_pb.ts";
import { MailService, MailStatus } from "../../packages/api/gen/bodega/mail/v1/mail_pb.ts";
import { OpsService } from "../../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import { PointsService } from "../../packages/api/gen/bodega/points/v1/points_pb.ts";
import { StockService } from "../../packages/api/gen/bodega/stock/v1/stock_pb.ts";
import { catcherOf } from "./catcher.ts";
import { bad, type Finding, good } from "./finding.ts";
import { operations } from "./operations.ts";
import type { Shop } from "./shop.ts";
import { span, word } from "./words.ts";

const ASK_MS = 5_000;
const SKEW_MS_MAX = 2_000;
/** Longer than a relay or a worker that lives leaves anything lying. */
const WAITS_MS_MAX = 60_000;
const EVENTS_VERIFIED = 1_000n;

export const CHECKS: Record<string, (shop: Shop) => Promise<Finding | Finding[]>> = {
  edge,
  clock,
  session,
  versions,
  "native gRPC": (shop) => port(shop, "GRPC_PORT", 50051),
  operations,
  "outboxes, which relays empty into topics": outboxes,
  "jobs, which workers take from queues": jobs,
  "parked messages": parked,
  "mail catcher": mailCatcher,
  SMTP: (shop) => port(shop, "SMTP_PORT", 1025),
  mails,
  "canary, lost and doubled": canary,
  "event log, its last part": eventLog,
  "books of stock": stock,
  "books of points": points,
};

const ask = (url: string) => fetch(url, { signal: AbortSignal.timeout(ASK_MS) });

async function edge({ url }: Shop): Promise<Finding> {
  const answer = await ask(`${url}/readyz`);
  const { services } = (await answer.json()) as { services?: Record<string, string> }; // As services/gateway answers.
  const away = Object.entries(services ?? {}).filter(([, state]) => state !== "ok");
  if (answer.ok) return good(`ready, ${Object.keys(services ?? {}).length} services`);
  const names = away.map(([name, state]) => `${name} ${state}`).join(", ");
  return bad(names || `answered ${answer.status}`, "look at the log of these services, and at their databases");
}

async function clock({ url }: Shop): Promise<Finding> {
  const before = Date.now();
  const date = Date.parse((await ask(`${url}/healthz`)).headers.get("date") ?? "");
  // The header has whole seconds, and was written between the two.
  const skew = date + 500 - (before + Date.now()) / 2;
  if (Number.isNaN(skew)) return bad("the edge tells no time", "is this the edge? --url");
  if (Math.abs(skew) <= SKEW_MS_MAX) return good(`within ${span(SKEW_MS_MAX)} of this machine's`);
  return bad(`${span(Math.abs(skew))} ${skew > 0 ? "ahead" : "behind"}`, "let NTP set the clocks of both machines");
}

async function session({ call }: Shop): Promise<Finding> {
  const { user } = await call(AuthService).getMe({});
  const roles = user?.roles.map((role) => word(RoleSchema, role)) ?? [];
  if (roles.includes("ADMIN")) return good(`${user?.email}, admin`);
  return bad(`${user?.email} is no admin`, "bodega login EMAIL, as an admin: the rest is for admins");
}

async function versions({ call }: Shop): Promise<Finding> {
  const { services } = await call(OpsService).getInfo({});
  const found = [...new Set(services.map((each) => each.version))];
  if (found.length === 1 && found[0] === version) return good(`${version}, ${services.length} services`);
  return bad(`services ${found.join(", ")}, this command ${version}`, "bring all to one version; bodega svc-info");
}

/** Of the machine that the shop is on. */
async function port({ url, env }: Shop, variable: string, usual: number): Promise<Finding> {
  const number = Number(env[variable] || usual);
  const socket = await Bun.connect({ hostname: new URL(url).hostname, port: number, socket: { data() {} } });
  socket.end();
  return good(`port ${number} answers`);
}

async function outboxes({ call }: Shop): Promise<Finding> {
  const { backlogs } = await call(OpsService).getBacklog({});
  const late = backlogs.filter(({ outboxOldest }) => outboxOldest && durationMs(outboxOldest) > WAITS_MS_MAX);
  if (late.length === 0) return good("nothing waits long");
  const names = late.map((each) => `${each.outbox} of ${each.service}`).join(", ");
  return bad(names, "is the broker there, and a relay? docs/runbooks/OutboxBehind.md");
}

async function jobs({ call }: Shop): Promise<Finding> {
  const { backlogs } = await call(OpsService).getBacklog({});
  const late = backlogs.filter(({ jobsOldest }) => jobsOldest && durationMs(jobsOldest) > WAITS_MS_MAX);
  if (late.length === 0) return good("nothing is overdue");
  const names = late.map((each) => `${each.jobsDue} of ${each.service}`).join(", ");
  return bad(names, "does a process of the service run? Its log says what it waits for; bodega backlog");
}

async function parked({ call }: Shop): Promise<Finding> {
  const { backlogs } = await call(OpsService).getBacklog({});
  const some = backlogs.filter((each) => each.parked > 0n);
  if (some.length === 0) return good("none");
  return bad(
    some.map((each) => `${each.parked} of ${each.service}`).join(", "),
    "bodega parked list, then replay or discard",
  );
}

async function mailCatcher(shop: Shop): Promise<Finding> {
  const catcher = catcherOf(shop);
  if (!catcher) return good("none is expected: the shop is on another machine");
  const answer = await ask(`${catcher}/api/v2/messages?limit=1`);
  return answer.ok ? good(catcher) : bad(`${catcher} answered ${answer.status}`, "set MAIL_PORT or BODEGA_CATCHER");
}

async function mails({ call }: Shop): Promise<Finding> {
  const failed = (await call(MailService).listMails({ status: MailStatus.FAILED, pageSize: 100 })).mails.length;
  if (failed === 0) return good("none was given up");
  return bad(`${failed}${failed === 100 ? " or more" : ""} were given up`, "bodega mails --status failed says why");
}

async function canary({ call }: Shop): Promise<Finding> {
  const { acknowledged, missing, duplicated, oldestUndelivered } = await call(CanaryService).getTotals({});
  const lost = oldestUndelivered !== undefined && durationMs(oldestUndelivered) > WAITS_MS_MAX;
  if (!lost && duplicated === 0n) return good(`${acknowledged} sums, none lost, none doubled`);
  return bad(`${missing} missing, ${duplicated} doubled`, "bodega backlog shows where they wait");
}

async function eventLog({ call }: Shop): Promise<Finding> {
  const { head } = await call(EventLogService).verifyChain({ eventsMax: 1 });
  const end = head?.sequence ?? 0n;
  const fromSequence = end > EVENTS_VERIFIED ? end - EVENTS_VERIFIED : 0n;
  const { intact, problems } = await call(EventLogService).verifyChain({ fromSequence });
  return intact ? good(`intact up to ${end}`) : bad(problems[0]?.says ?? "not intact", "bodega events verify");
}

async function stock({ call }: Shop): Promise<Finding> {
  const { differences, productsChecked } = await call(StockService).reconcile({});
  if (differences.length === 0) return good(`${productsChecked} products agree`);
  return bad(`${differences.length} differences`, "bodega stock reconcile");
}

async function points({ call }: Shop): Promise<Finding> {
  const { differences, accountsChecked } = await call(PointsService).reconcile({});
  if (differences.length === 0) return good(`${accountsChecked} accounts agree`);
  return bad(`${differences.length} differences`, "GET /v1/points:reconcile names them");
}
