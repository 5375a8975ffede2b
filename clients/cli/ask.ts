// What is not for the command line, where other people of the machine could read it.
import { Exit } from "./exit.ts";
import { Problem } from "./problem.ts";
import type { World } from "./shop.ts";

export const PASSWORD_HELP = "read the password from standard input; else BODEGA_PASSWORD, else it is asked for";
export const CODE_HELP = "\nThe code of a second factor: BODEGA_CODE, else it is asked for.";

/** From standard input when asked, from BODEGA_PASSWORD, or typed unseen. */
export async function readPassword(world: World, { passwordStdin = false }: { passwordStdin?: boolean | undefined }) {
  if (passwordStdin) return (await lineOf(world.stdin)).replace(/\r?\n[\s\S]*$/, "");
  const given = world.env["BODEGA_PASSWORD"];
  if (given) return given;
  if (world.stdin.isTTY !== true)
    throw new Problem(
      Exit.USAGE,
      "password: expected one, and there is no terminal to ask at",
      "set BODEGA_PASSWORD, or add --password-stdin",
    );
  return typed(world, "Password: ", false);
}

/** Of the second factor: from BODEGA_CODE, or typed. */
export async function readCode(world: World): Promise<string> {
  const given = world.env["BODEGA_CODE"];
  if (given) return given;
  if (world.stdin.isTTY === true) return (await typed(world, "Code of the app, or a recovery code: ", true)).trim();
  throw new Problem(
    Exit.USAGE,
    "code: expected one of the authenticator app, and there is no terminal to ask at",
    "set BODEGA_CODE",
  );
}

async function lineOf(stdin: NodeJS.ReadStream): Promise<string> {
  let text = "";
  for await (const chunk of stdin) text += String(chunk);
  return text;
}

/** A line from the terminal; what is typed is only seen when `seen`. */
export async function typed({ stdin, stderr }: World, prompt: string, seen: boolean): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let line = "";
  const heard = (chunk: Buffer | string) => {
    for (const sign of String(chunk)) {
      const back = sign === "\u007f" || sign === "\b";
      if (sign === "\r" || sign === "\n") return resolve(line);
      if (sign === "\u0003" || sign === "\u0004") return reject(new Problem(Exit.USAGE, "nothing was entered"));
      line = back ? line.slice(0, -1) : line + sign;
      if (seen) stderr.write(back ? "\b \b" : sign);
    }
  };
  stderr.write(prompt);
  stdin.setRawMode(true);
  stdin.on("data", heard).resume();
  try {
    return await promise;
  } finally {
    stdin.off("data", heard).pause();
    stdin.setRawMode(false);
    stderr.write("\n");
  }
}
