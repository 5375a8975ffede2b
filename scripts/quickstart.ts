// Runs the README, the operator's page and the seeds' as they stand there, and looks whether the README's promises came true.
// With names, only those pages. Last line: N passed, N failed.
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DescMessage, fromJsonString, type MessageShape } from "@bufbuild/protobuf";
import {
  CancelReason,
  GetOrderHistoryResponseSchema,
  GetOrderResponseSchema,
  OrderStatus,
  OrderStatusSchema,
} from "../packages/api/gen/bodega/order/v1/order_pb.ts";
import { GetStockResponseSchema } from "../packages/api/gen/bodega/stock/v1/stock_pb.ts";
import { type Counts, summary } from "./command.ts";
import { placeOf, type Result, runPage } from "./docs/runner.ts";
import type { Shell } from "./docs/shell.ts";
import { ROOT } from "./tree.ts";

const PAGES: Record<string, (shell: Shell, env: Record<string, string>) => Promise<void>> = {
  "README.md": promises,
  "docs/operations.md": async () => {},
  "docs/seeds/seed-0.md": async () => {},
  "docs/seeds/seed-1.md": async () => {},
  "docs/seeds/seed-2.md": async () => {},
  "docs/seeds/seed-3.md": async () => {},
  "docs/seeds/seed-4.md": async () => {},
};
const LOOKS = 120;
const LOOK_MS = 250;

const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
const wanted = process.argv.slice(2);
for (const [page, then] of Object.entries(PAGES))
  if (wanted.length === 0 || wanted.includes(page)) await run(page, then);
console.log(summary(counts));
process.exitCode = counts.failed === 0 && counts.passed > 0 ? 0 : 1;

/** Leaves neither a file nor a process behind, and says so. */
async function run(page: string, then: (shell: Shell, env: Record<string, string>) => Promise<void>) {
  const folder = mkdtempSync(join(tmpdir(), "bodega-quickstart-"));
  const postgres = join(folder, "data", "postgres", "postmaster.pid");
  try {
    const place = await placeOf(join(folder, "data"));
    const env = { ...place.env, TMPDIR: folder };
    const text = await Bun.file(join(ROOT, page)).text();
    await runPage(page, text, ROOT, { ...place, env }, report, (shell) => then(shell, env));
    await check(`${page}: PostgreSQL has ended`, async () => !existsSync(postgres));
    await check(`${page}: nobody listens any more`, async () =>
      (await Promise.all(ports(env).map(closed))).every(Boolean),
    );
  } catch (error) {
    report({ name: page, problem: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  } finally {
    // After a run that went wrong; the checks above have said so.
    if (existsSync(postgres)) process.kill(Number(readFileSync(postgres, "utf8").split("\n")[0]), "SIGQUIT");
    rmSync(folder, { recursive: true, force: true });
  }
}

function report({ name, problem, skipped }: Result) {
  const word = skipped ? "skipped" : problem === undefined ? "passed" : "failed";
  counts[word] += 1;
  console.log(
    `${word.padEnd(8)} ${name}${skipped ? `: ${skipped}` : ""}${problem === undefined ? "" : `\n${problem}`}`,
  );
}

/** What the README's reader has reached by its end, asked over REST and in the mail catcher, not by the README's own words. */
async function promises(shell: Shell, env: Record<string, string>) {
  const [token = "", paid = "", forgotten = "", burger = ""] = (
    await shell.run(`printf '%s\\n' "$TOKEN" "$ORDER" "$FORGOTTEN" "$BURGER"`)
  ).output.split("\n");
  const edge = `http://127.0.0.1:${env["PORT"]}`;
  async function ask<S extends DescMessage>(schema: S, path: string): Promise<MessageShape<S>> {
    const reply = await fetch(`${edge}${path}`, { headers: { authorization: `Bearer ${token}` } });
    const text = await reply.text();
    if (!reply.ok) throw new Error(`GET ${path} answered ${reply.status}: ${text}`);
    return fromJsonString(schema, text);
  }
  const order = async (id: string) => (await ask(GetOrderResponseSchema, `/v1/orders/${id}`)).order;
  async function moves(id: string): Promise<string> {
    const { entries } = await ask(GetOrderHistoryResponseSchema, `/v1/orders/${id}/history`);
    return entries.map(({ to }) => OrderStatusSchema.value[to]?.localName).join(" ");
  }
  async function mails(id: string): Promise<string[]> {
    const catcher = `http://127.0.0.1:${env["MAIL_PORT"]}`;
    const found = await fetch(`${catcher}/api/v2/search?kind=containing&query=${id}`);
    const { items } = (await found.json()) as Mailbox; // MailHog's shape, as the catcher answers it.
    return items.map(({ Content }) => Content.Headers.Subject[0].split(/:| order/)[0] ?? "").sort();
  }

  await check("the paid order is completed", async () => (await order(paid))?.status === OrderStatus.COMPLETED);
  await check("it moved once through each of its states", async () => (await moves(paid)) === "PENDING PAID COMPLETED");
  await check("its owner got a mail at every step", async () =>
    Bun.deepEquals(await mails(paid), ["Order completed", "Order received", "Payment received"]),
  );
  await check("the forgotten order is cancelled, as expired", async () => {
    const found = await order(forgotten);
    return found?.status === OrderStatus.CANCELLED && found.cancelReason === CancelReason.EXPIRED;
  });
  await check("its owner got three reminders and the end", async () => {
    const reminders = Array.from({ length: 3 }, () => "Payment reminder");
    return Bun.deepEquals(await mails(forgotten), ["Order cancelled", "Order received", ...reminders]);
  });
  await check("the paid order's burgers are sold, the forgotten one's are back", async () => {
    const { stock } = await ask(GetStockResponseSchema, `/v1/stocks/${burger}`);
    return stock?.onHand === 118 && stock.reserved === 0 && stock.available === 118;
  });
}

interface Mailbox {
  items: { Content: { Headers: { Subject: [string] } } }[];
}

/** True within half a minute, or false. What cannot be asked is an error, and so a failure. */
async function check(name: string, holds: () => Promise<boolean>) {
  try {
    for (let looks = 1; !(await holds()); looks += 1) {
      if (looks === LOOKS) return report({ name, problem: `it did not come true in ${(LOOKS * LOOK_MS) / 1_000} s` });
      await Bun.sleep(LOOK_MS);
    }
    report({ name });
  } catch (error) {
    report({ name, problem: error instanceof Error ? error.message : String(error) });
  }
}

function ports(env: Record<string, string>): number[] {
  return Object.entries(env).flatMap(([name, value]) => (name.endsWith("PORT") ? [Number(value)] : []));
}

async function closed(port: number): Promise<boolean> {
  try {
    (await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } })).end();
    return false;
  } catch {
    return true; // Refused: nobody listens.
  }
}
