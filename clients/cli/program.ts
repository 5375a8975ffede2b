import { createCommandLine, endOfCommandLine, type Group } from "./command-line.ts";
import { activity } from "./commands/activity.ts";
import { backlog } from "./commands/backlog.ts";
import { canary } from "./commands/canary.ts";
import { doctor } from "./commands/doctor.ts";
import { events } from "./commands/events.ts";
import { kitchen } from "./commands/kitchen.ts";
import { login } from "./commands/login.ts";
import { ls } from "./commands/ls.ts";
import { mails } from "./commands/mails.ts";
import { orders } from "./commands/orders.ts";
import { parked } from "./commands/parked.ts";
import { points } from "./commands/points.ts";
import { products } from "./commands/products.ts";
import { seed1 } from "./commands/seed-1.ts";
import { stock } from "./commands/stock.ts";
import { svcInfo } from "./commands/svc-info.ts";
import { totp } from "./commands/totp.ts";
import { users } from "./commands/users.ts";
import { completion } from "./completion.ts";
import { Exit } from "./exit.ts";
import { print, tell } from "./problem.ts";
import { openShop, type Shop, type World } from "./shop.ts";
import { openTerminal, type Stream } from "./terminal.ts";

/** By the headings of `bodega --help`. */
const GROUPS: Record<string, Group[]> = {
  "The shop:": [ls, users, products, orders, points, kitchen, stock, mails],
  "Is it well:": [doctor, backlog, parked, activity, events, canary, svcInfo],
  "Seed 1's own words:": [seed1],
  "Who you are:": [login, totp],
  "This command:": [completion],
};

export function createProgram(world: World, endWith: Shop["endWith"]) {
  const program = createCommandLine(world);
  const at = () => openShop(world, program.opts(), openTerminal(world.stdout, coloured(world.stdout, world)), endWith);
  for (const [heading, groups] of Object.entries(GROUPS)) {
    program.commandsGroup(heading);
    for (const group of groups) group(program, at);
  }
  program.helpCommand("help [command]", "The same as --help");
  return program;
}

/** The exit code. */
export async function run(args: string[], world: World): Promise<number> {
  let exit: number = Exit.DONE;
  const program = createProgram(world, (code) => {
    exit = code;
  });
  try {
    await program.parseAsync(args, { from: "user" });
    return exit;
  } catch (error) {
    const ended = endOfCommandLine(error);
    if (ended !== undefined) return ended;
    const told = tell(error);
    if (program.opts().json) world.stderr.write(`${JSON.stringify({ error: told })}\n`);
    else print(told, openTerminal(world.stderr, coloured(world.stderr, world)));
    return told.exit;
  }
}

/** Only a terminal shows colours, and only to who wants them: no-color.org. */
function coloured(stream: Stream, { env }: World): boolean {
  return stream.isTTY === true && !env["NO_COLOR"] && env["TERM"] !== "dumb";
}
