import { DeliverMail } from "../../packages/api/jobs.ts";
import type { App } from "../../packages/service/app.ts";
import type { Schedule } from "../../packages/service/service.ts";
import { findForgotten } from "./store.ts";

/** A mail that was written down just now is left alone. */
const GRACE_MS = 60_000;
const MAILS_MAX = 500;

export const SWEEP: Schedule = { name: "sweep-mails", everyMs: 60_000, run: sweepMails };

/** A mail that waits and that no job will deliver gets a new job: none is forgotten, whatever became of its first. */
export async function sweepMails(app: App): Promise<void> {
  const writtenBefore = new Date(app.clock.now().getTime() - GRACE_MS);
  const mailIds = await findForgotten(app.sql, DeliverMail.type, writtenBefore, MAILS_MAX);
  if (mailIds.length === 0) return;
  await app.record((tx) => {
    for (const mailId of mailIds) tx.enqueue(DeliverMail, { mailId });
  });
  app.log.warn("mails.jobs_renewed", { count: mailIds.length, first: mailIds[0] });
}
