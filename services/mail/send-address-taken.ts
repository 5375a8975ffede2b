import type { SendAddressTaken } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import { compose } from "./mail.ts";
import { addressTaken } from "./templates.tsx";

export async function sendAddressTaken(app: App, { body, tx }: Message<SendAddressTaken>): Promise<void> {
  const about = { template: "address_taken", subjectId: body.noticeId, step: 0, orderId: null } as const;
  await compose(app, tx, [{ tx, ...about, recipient: body.email, letter: addressTaken(body.displayName) }]);
}
