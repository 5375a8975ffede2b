// A service that somebody adds, step by step as CONTRIBUTING.md says: one RPC, facts of every type, one job, one page.

/** "Add a service", steps 1 and 2: new files. */
export const NEW_FILES: Record<string, string> = {
  "proto/bodega/loyalty/v1/loyalty.proto": `syntax = "proto3";

package bodega.loyalty.v1;

import "bodega/type/v1/access.proto";
import "buf/validate/validate.proto";
import "google/api/annotations.proto";

// Who is thanked for being here.
service LoyaltyService {
  // Whether a user was thanked.
  rpc GetStanding(GetStandingRequest) returns (GetStandingResponse) {
    option (bodega.type.v1.access) = ACCESS_ANYONE;
    option (google.api.http) = {get: "/v1/standings/{user_id}"};
    option idempotency_level = NO_SIDE_EFFECTS;
  }
}

message GetStandingRequest {
  string user_id = 1 [(buf.validate.field).string.uuid = true];
}

message GetStandingResponse {
  bool thanked = 1;
}
`,
  "proto/bodega/loyalty/v1/events.proto": `syntax = "proto3";

package bodega.loyalty.v1;

// Job loyalty.thank-user: thanks a user, once.
message ThankUser {
  string user_id = 1;
}
`,
  "services/loyalty/service.ts": `import { LoyaltyService } from "../../packages/api/gen/bodega/loyalty/v1/loyalty_pb.ts";
import { ThankUser } from "../../packages/api/jobs.ts";
import { forever } from "../../packages/database/retention.ts";
import { answers, does, onAny, service } from "../../packages/service/service.ts";
import { getStanding } from "./get-standing.ts";
import { onAnyFact } from "./on-any-fact.ts";
import { loyaltyPages } from "./pages.ts";
import { thankUser } from "./thank-user.ts";

export const loyalty = () =>
  service<undefined>({
    name: "loyalty",
    config: undefined,
    migrations: new URL("./migrations/", import.meta.url),
    keeps: [forever("facts_heard", "a row for each type"), forever("thanks", "a row for each user")],
    answers: [answers(LoyaltyService, { getStanding })],
    pages: { paths: ["/loyalty/:type"], serve: loyaltyPages },
    hears: [onAny(onAnyFact)],
    does: [does(ThankUser, thankUser)],
  });
`,
  "services/loyalty/get-standing.ts": `import type { GetStandingRequest } from "../../packages/api/gen/bodega/loyalty/v1/loyalty_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { wasThanked } from "./store.ts";

export async function getStanding(app: App, _caller: Caller, { userId }: GetStandingRequest) {
  return { thanked: await wasThanked(app.sql, userId) };
}
`,
  "services/loyalty/on-any-fact.ts": `import { UserRegistered } from "../../packages/api/facts.ts";
import { ThankUser } from "../../packages/api/jobs.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import { countFacts } from "./store.ts";

export async function onAnyFact(_app: App, tx: Tx, messages: Message[]): Promise<void> {
  await countFacts(
    tx.sql,
    messages.map(({ type }) => type),
  );
  for (const { type, key, tx: own } of messages)
    if (type === UserRegistered.type) own.enqueue(ThankUser, { userId: key });
}
`,
  "services/loyalty/thank-user.ts": `import type { ThankUser } from "../../packages/api/gen/bodega/loyalty/v1/events_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import { uuid } from "../../packages/service/uuid.ts";
import { insertThanks } from "./store.ts";

export function thankUser(app: App, { body, tx }: Message<ThankUser>): Promise<void> {
  return insertThanks(tx.sql, uuid("user_id", body.userId), app.clock.now());
}
`,
  "services/loyalty/pages.ts": `import type { App } from "../../packages/service/app.ts";
import type { Web } from "../../packages/service/outside.ts";
import { countOf } from "./store.ts";

export function loyaltyPages(app: App): Web {
  return {
    async fetch(req) {
      const type = new URL(req.url).pathname.split("/").at(-1) ?? "";
      return new Response(\`\${type} was heard \${await countOf(app.sql, type)} times\`);
    },
  };
}
`,
  "services/loyalty/store.ts": `import type { Sql } from "../../packages/database/database.ts";

export async function countFacts(sql: Sql, types: string[]): Promise<void> {
  await sql\`
    insert into facts_heard (type, times) select type, count(*) from unnest(\${types}::text[]) as t(type) group by type order by type
    on conflict (type) do update set times = facts_heard.times + excluded.times\`;
}

export async function countOf(sql: Sql, type: string): Promise<bigint> {
  const [row] = await sql<{ times: bigint }[]>\`select times from facts_heard where type = \${type}\`;
  return row?.times ?? 0n;
}

export async function insertThanks(sql: Sql, userId: string, at: Date): Promise<void> {
  await sql\`insert into thanks (user_id, thanked_at) values (\${userId}, \${at})\`;
}

export async function wasThanked(sql: Sql, userId: string): Promise<boolean> {
  const rows = await sql\`select from thanks where user_id = \${userId}\`;
  return rows.length > 0;
}
`,
  "services/loyalty/migrations/0001_loyalty.sql": `-- What was heard, and who was thanked for being here.

create table facts_heard (
  type text primary key,
  times bigint not null check (times > 0)
);

create table thanks (
  user_id uuid primary key,
  thanked_at timestamptz not null
);
`,
  "services/loyalty/README.md": `# loyalty

Thanks users for being here.

**Owns** \`thanks\` (a row for each user that was thanked) and \`facts_heard\` (how often each type of fact came).

**Answers** \`LoyaltyService\`: GetStanding; and the page \`/loyalty/{type}\`, how often that fact was heard.

**Tells** nothing. **Hears** every fact. **Does** \`loyalty.thank-user\`.

**States** none.
`,
};

/** "Add a job", step 2, and "Add a service", steps 3 and 5: what is there already and gets some lines more. */
export const NEW_LINES: { path: string; before: string; lines: string }[] = [
  {
    path: "packages/api/jobs.ts",
    before: "import {\n  DeliverMailSchema,",
    lines: 'import { ThankUserSchema } from "./gen/bodega/loyalty/v1/events_pb.ts";\n',
  },
  {
    path: "packages/api/jobs.ts",
    before: "export const WorkTicket",
    lines: 'export const ThankUser = job("loyalty", "thank-user", ThankUserSchema, (body) => body.userId);\n\n',
  },
  {
    path: "services/all.ts",
    before: "  mail: async () =>",
    lines: '  loyalty: async () => (await import("./loyalty/service.ts")).loyalty,\n',
  },
  {
    path: "stack.yml",
    before: "  canary:\n    <<: *service\n",
    lines: `  loyalty:
    <<: *service
    command: ["loyalty"]
    environment:
      <<: *service-environment
      LOYALTY_KEY_FILE: /run/secrets/loyalty_key
    secrets:
      - { source: public_keys, uid: "1000", mode: 0400 }
      - { source: loyalty_key, uid: "1000", mode: 0400 }
      - { source: rabbitmq_url, uid: "1000", mode: 0400 }
      - { source: redis_url, uid: "1000", mode: 0400 }

`,
  },
  {
    path: "stack.yml",
    before: "  canary_key: {",
    lines:
      // biome-ignore lint/suspicious/noTemplateCurlyInString: Docker fills these in.
      '  loyalty_key: { file: "${SECRETS:-./.data/stack/secrets}/loyalty_key", name: "${STACK:-bodega}-loyalty-key-${HASH_LOYALTY_KEY:-0}" }\n',
  },
  { path: "stack.small.yml", before: "  canary: *service\n", lines: "  loyalty: *service\n" },
  { path: "stack.debezium.yml", before: "  canary: *told\n", lines: "  loyalty: *told\n" },
  { path: "observability/prometheus/prometheus.yml", before: "          - canary\n", lines: "          - loyalty\n" },
];
