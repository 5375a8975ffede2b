import tab from "@bomb.sh/tab/commander";
import type { Group } from "./command-line.ts";

/** `bodega complete bash|zsh|fish` prints a script for the shell, which asks `bodega complete -- …` at each press of the key. */
export function completion(program: Parameters<Group>[0]): void {
  tab(program as unknown as Parameters<typeof tab>[0]); // The same class: extra-typings only says more about it.
}
