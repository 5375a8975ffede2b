import {
  ListMailsResponseSchema,
  MailService,
  MailStatusSchema,
} from "../../../packages/api/gen/bodega/mail/v1/mail_pb.ts";
import type { Group } from "../command-line.ts";
import { choice } from "../values.ts";
import { time, word } from "../words.ts";

const SHOWN = 50;

export const mails: Group = (program, at) => {
  program
    .command("mails")
    .description("The newest mails, and what became of them")
    .option("--order <id>", "about this order alone", "")
    .option("--status <status>", "queued, sent, failed or dropped")
    .action(async ({ order: orderId, status }) => {
      const shop = at();
      const wanted = { orderId, status: choice("status", MailStatusSchema, status), pageSize: SHOWN };
      shop.show(ListMailsResponseSchema, await shop.call(MailService).listMails(wanted), (reply) =>
        shop.terminal.table(
          ["AT", "STATUS", "ATTEMPTS", "TEMPLATE", "TO", "ORDER", "ERROR"],
          reply.mails.map((mail) => [
            time(mail.createdAt),
            word(MailStatusSchema, mail.status),
            mail.attempts,
            mail.template,
            mail.to,
            mail.orderId,
            mail.error,
          ]),
        ),
      );
    });
};
