// All that is known here of Commander.
import { Command, CommanderError, type CommandUnknownOpts } from "@commander-js/extra-typings";
import { version } from "../../package.json";
import { Exit } from "./exit.ts";
import type { Shop, World } from "./shop.ts";

/** Adds a group of commands; `at` opens the shop with the options of the command line. */
export type Group = (program: CommandUnknownOpts, at: () => Shop) => void;

/** Without its commands. */
export function createCommandLine({ stdout, stderr }: Pick<World, "stdout" | "stderr">) {
  return new Command("bodega")
    .description("The shop from a terminal.")
    .version(version)
    .option("--url <url>", "the shop; else BODEGA_URL, else this machine's")
    .option("--as <email>", "in the name of this login, not of the last one")
    .option("--json", "answers for programs: JSON, of streams one a line")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void stdout.write(text),
      writeErr: (text) => void stderr.write(text),
    })
    .showHelpAfterError("Next: add --help to see what is expected");
}

/** How a command line ends that was not understood, or was only asked for help; its words are out already. Undefined for other errors. */
export function endOfCommandLine(error: unknown): number | undefined {
  if (!(error instanceof CommanderError)) return undefined;
  return error.exitCode === 0 ? Exit.DONE : Exit.USAGE;
}
