import { ConnectError } from "@connectrpc/connect";
import { CHECKS } from "../checkup.ts";
import type { Group } from "../command-line.ts";
import { Exit } from "../exit.ts";
import type { Finding } from "../finding.ts";
import { tell } from "../problem.ts";
import type { Shop } from "../shop.ts";

/** By the variable that moves a port, or by what else is to be done when a part does not answer at all. */
const FIXES: Record<string, string> = {
  "native gRPC": "set GRPC_PORT as the shop has it",
  operations: "set OPS_PORT as the shop has it; it may be closed to this machine",
  "mail catcher": "set MAIL_PORT as the shop has it, or BODEGA_CATCHER; with SMTP_URL there is none",
  SMTP: "set SMTP_PORT as the shop has it; with SMTP_URL there is none",
};

export const doctor: Group = (program, at) => {
  program
    .command("doctor")
    .description(
      "Examine every part that can be reached, and say what to do; ends with 7 when anything is not in order",
    )
    .action(async () => {
      const shop = at();
      const examinations = Object.entries(CHECKS).map(async ([part, check]) => {
        const found = await examined(shop, part, check);
        return [found].flat().map((finding) => ({ part, ...finding }));
      });
      const findings = (await Promise.all(examinations)).flat();
      const ill = findings.filter(({ good }) => !good);
      shop.showOwn({ healthy: ill.length === 0, findings }, () => {
        shop.terminal.table(
          ["PART", "", "FOUND"],
          findings.flatMap(({ part, good, found, says = [] }) => [
            [part, good ? "ok" : "NOT OK", found],
            ...says.map((line) => ["", "", `  ${line}`]),
          ]),
        );
        // What mends many, such as a login, is said once.
        for (const [fix, mended] of Map.groupBy(ill, ({ fix }) => fix))
          if (fix) shop.say(`\n${mended.map(({ part }) => part).join("; ")}: ${fix}`);
      });
      if (ill.length > 0) shop.endWith(Exit.NOT_IN_ORDER);
    });
};

async function examined(shop: Shop, part: string, check: (typeof CHECKS)[string]): Promise<Finding | Finding[]> {
  try {
    return await check(shop);
  } catch (error) {
    if (error instanceof ConnectError) {
      const { reason, code, message, next } = tell(error);
      return { good: false, found: `${reason || code}: ${message}`, fix: next };
    }
    const found = error instanceof Error ? error.message : String(error);
    return { good: false, found, fix: FIXES[part] ?? `is it running at ${shop.url}? bun dev starts one` };
  }
}
