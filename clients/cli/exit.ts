/** How a command ends, for scripts: docs/cli.md. */
export const Exit = {
  DONE: 0,
  /** A bug, here or in the shop. */
  FAILED: 1,
  /** The command line, or a value in it, is not what was expected. */
  USAGE: 2,
  /** Not logged in, or not allowed. */
  NOT_ALLOWED: 3,
  NOT_FOUND: 4,
  /** The state of things forbids it. */
  REFUSED: 5,
  /** The shop is away, busy or late: the same again may succeed. */
  TRY_LATER: 6,
  /** What was examined is not in order. */
  NOT_IN_ORDER: 7,
} as const;
